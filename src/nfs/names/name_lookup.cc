// SPDX-License-Identifier: MIT
//
// Asio's resolver has a thread, too, but its io_context joins it: getaddrinfo() would hold up the end of the program
// for as long as name servers keep silent.
//
// The thread and the NameLookup share one record. The one that locks it and finds a loop in it may use that loop, as
// the NameLookup takes it out before it goes. Until the thread has found one, it touches the record and the C library
// only: the destructors of main() and of static objects may have run.
#include "nfs/names/name_lookup.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <thread>
#include <utility>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <fmt/core.h>
#include <netdb.h>

#include "base/log.h"
#include "base/mutex.h"

namespace qatime::nfs {

namespace asio = boost::asio;

struct NameLookup::Question {
  std::string name;
  // of the loop's thread:
  Done done;
  Mutex mutex;
  asio::io_context* io QATIME_GUARDED_BY(mutex);  // null: nobody asks any more
};

namespace {

std::string failure(const std::string& name, const std::string& why) {
  return fmt::format("cannot resolve \"{}\": {}", log::escaped(name), why);
}

using AddressList = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

std::vector<asio::ip::address> addresses_of(const AddressList& list) {
  std::vector<asio::ip::address> addresses;
  for (const addrinfo* each = list.get(); each != nullptr; each = each->ai_next) {
    asio::ip::tcp::endpoint endpoint;
    if (each->ai_addrlen > endpoint.capacity()) continue;
    std::memcpy(endpoint.data(), each->ai_addr, each->ai_addrlen);
    if (std::ranges::count(addresses, endpoint.address()) == 0) addresses.push_back(endpoint.address());
  }
  return addresses;
}

}  // namespace

// On a thread of its own.
void NameLookup::ask(const std::shared_ptr<Question>& question) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(question->name.c_str(), nullptr, &hints, &found);
  const int cause = errno;
  const AddressList list{found, ::freeaddrinfo};

  Resolved result{addresses_of(list), {}};
  if (error != 0) {
    const auto why = error == EAI_SYSTEM ? std::generic_category().message(cause) : ::gai_strerror(error);
    result.failure = failure(question->name, why);
  }
  answer(question, std::move(result));
}

void NameLookup::answer(const std::shared_ptr<Question>& question, Resolved result) {
  const MutexLock lock{question->mutex};
  if (question->io == nullptr) return;
  asio::post(*question->io, [question, result = std::move(result)] {
    if (const auto done = std::exchange(question->done, nullptr)) done(result);
  });
}

NameLookup::NameLookup(asio::io_context& io, const std::string& host, Done done)
    : question_{new Question{host, std::move(done), {}, &io}}, work_{io.get_executor()} {
  try {
    std::thread{[question = question_] { ask(question); }}.detach();
  } catch (const std::system_error& error) {  // no more threads for now
    answer(question_, {{}, failure(host, error.what())});
  }
}

NameLookup::~NameLookup() {
  question_->done = nullptr;
  const MutexLock lock{question_->mutex};
  question_->io = nullptr;
}

std::string NameLookup::no_answer(const std::string& name) { return failure(name, "no answer within nfs.timeout"); }

}  // namespace qatime::nfs
