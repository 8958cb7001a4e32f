// SPDX-License-Identifier: MIT
#include "backlog/store.h"

#include <cerrno>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

namespace qatime::backlog {
namespace {

// SQLite gives its other files the permissions of this one.
std::string private_file(const std::string& file) {
  const int descriptor = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor < 0) throw StoreError{fmt::format("{}: {}", file, std::generic_category().message(errno))};
  ::close(descriptor);
  return file;
}

}  // namespace

Store::Store(const std::string& directory)
    : file_{std::make_unique<LogFile>(private_file(directory + "/backlog.db"))} {}

std::vector<Store::Row> Store::rows() const { return file_->rows(); }

void Store::commit(std::span<const Batch* const> batches, std::span<const std::uint64_t> dead) {
  sqlite::Transaction transaction{file_->database()};
  for (const Batch* const batch : batches) file_->insert(*batch);
  for (const std::uint64_t sequence : dead) file_->erase(sequence);
  file_->shrink();
  transaction.commit();
  file_->tidy();
}

std::optional<Batch> Store::read(std::uint64_t sequence) {
  auto found = file_->read(sequence);
  if (!found || !found->right) return std::nullopt;
  return std::move(found->batch);
}

std::optional<std::string> Store::read_changes(std::uint64_t sequence) {
  auto found = file_->read_changes(sequence);
  if (!found || !found->right) return std::nullopt;
  return std::move(found->batch.changes);
}

std::size_t Store::bytes() const { return file_->bytes(); }

}  // namespace qatime::backlog
