// SPDX-License-Identifier: MIT
#include "ingest/parse/recorded_log.h"

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <new>
#include <random>
#include <string>
#include <string_view>

#include <fcntl.h>
#include <malloc.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>
#include <zlib.h>

#include "catch.h"

namespace {

std::atomic<std::size_t> held{0};  // bytes of this program's memory, as malloc counts them

}  // namespace

void* operator new(std::size_t size, const std::nothrow_t& /*tag*/) noexcept {
  void* const memory = std::malloc(size > 0 ? size : 1);
  if (memory != nullptr) held += malloc_usable_size(memory);
  return memory;
}

void* operator new(std::size_t size) {
  if (void* const memory = operator new(size, std::nothrow)) return memory;
  throw std::bad_alloc{};
}

void operator delete(void* memory) noexcept {
  if (memory != nullptr) held -= malloc_usable_size(memory);
  std::free(memory);
}

void operator delete(void* memory, std::size_t /*size*/) noexcept { operator delete(memory); }

namespace qatime::ingest::recorded_log_test {
namespace {

using namespace std::string_literals;
using Catch::Contains;

constexpr uid_t kNobody = 65'534;

// One member of a gzip file.
std::string packed(std::string_view text) {
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string result(deflateBound(&stream, text.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(result.data());
  stream.avail_out = static_cast<uInt>(result.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  result.resize(result.size() - stream.avail_out);
  deflateEnd(&stream);
  return result;
}

// Text that does not shrink much, so that a log has many blocks.
std::string noise(std::size_t size) {
  std::minstd_rand random{7};  // NOLINT(bugprone-random-generator-seed)
  std::string text(size, '\0');
  for (char& c : text) c = static_cast<char>(' ' + random() % 90);
  return text;
}

struct Reading {
  std::string text;
  std::string failure;
};

Reading read_all(RecordedLog& log) {
  Reading reading;
  std::array<char, 10'000> space{};
  try {
    while (true) {
      REQUIRE(log.ready(std::chrono::seconds{60}));
      const auto size = log.read(space);
      if (size == 0) break;
      reading.text.append(space.data(), size.value_or(0));
    }
    CHECK(log.read(space) == 0);
  } catch (const LogError& error) {
    reading.failure = error.what();
  }
  return reading;
}

// A directory for files.
struct Fixture {
  Fixture() {
    std::string name = (std::filesystem::temp_directory_path() / "qatime-logs-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    directory = name;
  }
  Fixture(const Fixture&) = delete;
  Fixture& operator=(const Fixture&) = delete;
  ~Fixture() { std::filesystem::remove_all(directory); }

  std::string write(std::string_view bytes) {
    const std::string name = directory / std::to_string(++files);
    std::ofstream{name, std::ios::binary} << bytes;
    return name;
  }

  Reading read(std::string_view bytes) {
    RecordedLog log{write(bytes)};
    Reading reading = read_all(log);
    if (reading.failure.empty()) CHECK(log.position() == bytes.size());
    return reading;
  }

  std::string why_not(const std::string& name) {
    try {
      const RecordedLog log{name};
    } catch (const LogError& error) {
      return error.what();
    }
    return "it can be read";
  }

  std::filesystem::path directory;
  int files = 0;
};

// Has standard input be `descriptor` meanwhile.
class StandardInput {
 public:
  explicit StandardInput(int descriptor) : saved_{dup(STDIN_FILENO)} { dup2(descriptor, STDIN_FILENO); }
  ~StandardInput() {
    dup2(saved_, STDIN_FILENO);
    close(saved_);
  }
  StandardInput(const StandardInput&) = delete;
  StandardInput& operator=(const StandardInput&) = delete;

 private:
  int saved_;
};

TEST_CASE_METHOD(Fixture, "A plain log is read to the byte") {
  for (const std::string& text :
       {""s, "a"s, "\x1f"s, "\x1f\n"s, "a\n"s, "one\ntwo"s, "nul\0nul\n"s, noise(1'000'000)}) {
    const Reading reading = read(text);
    CHECK(reading.text == text);
    CHECK(reading.failure.empty());
  }
}

TEST_CASE_METHOD(Fixture, "A packed log is unpacked, all members of it") {
  const std::string text = noise(1'000'000);
  for (const std::string& bytes : {packed(text), packed(text.substr(0, 10)) + packed("") + packed(text.substr(10)),
                                   packed(text) + std::string(300'000, '\0')}) {
    const Reading reading = read(bytes);
    CHECK(reading.text == text);
    CHECK(reading.failure.empty());
  }
  CHECK(read(packed("")).text.empty());
}

TEST_CASE_METHOD(Fixture, "What comes before the damage of a packed log is read") {
  const std::string text = noise(600'000);
  const std::string bytes = packed(text);
  for (const std::size_t cut : {bytes.size() - 1, bytes.size() / 2, std::size_t{300'000}}) {
    const Reading reading = read(bytes.substr(0, cut));
    CHECK(reading.text == text.substr(0, reading.text.size()));
    CHECK(reading.text.size() + 100'000 > text.size() * cut / bytes.size());
    CHECK_THAT(reading.failure, Contains("cut off"));
  }
  CHECK_THAT(read(bytes.substr(0, 2)).failure, Contains("cut off"));

  const Reading garbage = read(bytes + "more");
  CHECK(garbage.text == text);
  CHECK_THAT(garbage.failure, Contains("damaged"));

  std::string wrong_sum = bytes;
  wrong_sum[wrong_sum.size() - 6] ^= 1;
  const Reading summed = read(wrong_sum);
  CHECK(summed.text == text);
  CHECK_THAT(summed.failure, Contains("incorrect data check"));
}

TEST_CASE_METHOD(Fixture, "A failure names the log so that no terminal is harmed") {
  CHECK_THAT(why_not(directory / "no\nsuch"), Contains("no\\x0asuch: No such file or directory"));
  CHECK_THAT(why_not(directory), Contains(": is a directory"));
  const std::string file = write("a");
  CHECK(why_not(file) == "it can be read");
  REQUIRE(chmod(directory.c_str(), 0755) == 0);
  REQUIRE(chmod(file.c_str(), 0) == 0);
  const std::string pipe = directory / "pipe";
  REQUIRE(mkfifo(pipe.c_str(), 0) == 0);
  const bool is_root = geteuid() == 0;
  if (is_root) REQUIRE(setresuid(kNobody, kNobody, 0) == 0);
  const std::string why = why_not(file);
  const std::string why_no_pipe = why_not(pipe);
  if (is_root) REQUIRE(setresuid(0, 0, 0) == 0);
  CHECK_THAT(why, Contains("Permission denied"));
  CHECK_THAT(why_no_pipe, Contains("Permission denied"));
}

TEST_CASE("Standard input that is closed cannot be read") {
  const int saved = dup(STDIN_FILENO);
  close(STDIN_FILENO);
  CHECK_THROWS_WITH(RecordedLog{"-"}, "-: Bad file descriptor");
  dup2(saved, STDIN_FILENO);
  close(saved);
}

TEST_CASE_METHOD(Fixture, "A log that is packed otherwise is refused with the command to type") {
  struct Case {
    std::string begin;
    std::string says;
  };
  const auto each = GENERATE(values<Case>({{"\xFD\x37\x7A\x58\x5A\0"s, "is packed by xz: use `xzcat "},
                                           {"\x28\xB5\x2F\xFD", "is packed by zstd: use `zstdcat "},
                                           {"BZh9", "is packed by bzip2: use `bzcat "},
                                           {"\x04\x22\x4D\x18", "is packed by lz4: use `lz4cat "},
                                           {"\x1F\x9D", "is packed by compress: use `zcat "},
                                           {"PK\3\4", "is a zip archive: use `unzip -p "},
                                           {"\xFF\xFE<\0"s, "is UTF-16: use `iconv -f UTF-16 -t UTF-8 "},
                                           {"\xFE\xFF\0<"s, "is UTF-16: use `iconv -f UTF-16 -t UTF-8 "},
                                           {"<\0001\0"s, "is UTF-16: use `iconv -f UTF-16LE -t UTF-8 "},
                                           {"\0<\0001"s, "is UTF-16: use `iconv -f UTF-16BE -t UTF-8 "}}));
  const std::string text = each.begin + "and more of it\n";
  CHECK_THROWS_WITH(RecordedLog{write(text)}, Contains(each.says) && Contains(" | qatime replay -`"));
  CHECK_THROWS_AS(RecordedLog{write(text)}, PackedLog);
}

TEST_CASE_METHOD(Fixture, "A file tells its size and when it was written") {
  const std::string file = write("12345");
  const timespec written{1'560'000'000, 250'000'000};
  const std::array times{written, written};
  REQUIRE(utimensat(AT_FDCWD, file.c_str(), times.data(), 0) == 0);
  const RecordedLog log{file};
  CHECK(log.size() == 5);
  CHECK(log.written() == Time{std::chrono::milliseconds{1'560'000'000'250}});
}

TEST_CASE_METHOD(Fixture, "Standard input may be a pipe, packed or not") {
  for (const std::string& bytes : {"one\ntwo"s, packed("one\ntwo")}) {
    std::array<int, 2> pipe_ends{};
    REQUIRE(pipe(pipe_ends.data()) == 0);
    const StandardInput input{pipe_ends[0]};
    RecordedLog log{"-"};
    CHECK_FALSE(log.size());
    CHECK_FALSE(log.written());
    CHECK_FALSE(log.ready(std::chrono::milliseconds{1}));
    REQUIRE(::write(pipe_ends[1], bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
    close(pipe_ends[1]);
    CHECK(read_all(log).text == "one\ntwo");
    close(pipe_ends[0]);
  }
}

TEST_CASE_METHOD(Fixture, "What is not there yet is not waited for, wherever a pipe stops") {
  for (const std::string& bytes : {"one\nto"s, packed("one\n") + "\0\0"s + packed("") + packed("to")}) {
    std::array<int, 2> pipe_ends{};
    REQUIRE(pipe2(pipe_ends.data(), O_NONBLOCK) == 0);  // to wait would fail
    const StandardInput input{pipe_ends[0]};
    RecordedLog log{"-"};
    std::string text;
    std::array<char, 4> space{};
    for (const char byte : bytes) {
      REQUIRE(::write(pipe_ends[1], &byte, 1) == 1);
      while (log.ready(std::chrono::milliseconds{0})) text.append(space.data(), log.read(space).value_or(0));
    }
    CHECK(text == "one\nto");
    close(pipe_ends[1]);
    CHECK(read_all(log).text.empty());
    close(pipe_ends[0]);
  }
}

TEST_CASE("Standard input that is packed otherwise is refused, too") {
  std::array<int, 2> pipe_ends{};
  REQUIRE(pipe(pipe_ends.data()) == 0);
  const StandardInput input{pipe_ends[0]};
  RecordedLog log{"-"};
  REQUIRE(::write(pipe_ends[1], "\xFD\x37\x7A\x58\x5A\0", 6) == 6);
  std::array<char, 10> space{};
  CHECK_THROWS_WITH(log.read(space), "-: is packed by xz: use `xzcat FILE | qatime replay -`");
  close(pipe_ends[0]);
  close(pipe_ends[1]);
}

int pipe_end = -1;
int signals = 0;

TEST_CASE("A signal does not end a log") {
  std::array<int, 2> pipe_ends{};
  REQUIRE(pipe(pipe_ends.data()) == 0);
  const StandardInput input{pipe_ends[0]};
  RecordedLog log{"-"};
  pipe_end = pipe_ends[1];
  struct sigaction action{};
  action.sa_handler = [](int) {
    if (++signals == 3 && ::write(pipe_end, "one\ntwo", 7) != 7) std::abort();
  };
  struct sigaction before{};
  REQUIRE(sigaction(SIGALRM, &action, &before) == 0);
  const itimerval often{{0, 5000}, {0, 5000}};
  REQUIRE(setitimer(ITIMER_REAL, &often, nullptr) == 0);
  std::array<char, 10> space{};
  const auto size = log.read(space);
  const itimerval never{};
  setitimer(ITIMER_REAL, &never, nullptr);
  sigaction(SIGALRM, &before, nullptr);
  CHECK(size == 7);
  close(pipe_ends[0]);
  close(pipe_ends[1]);
}

TEST_CASE("What cannot be read says why") {
  RecordedLog log{"/proc/self/mem"};
  CHECK(read_all(log).failure == "/proc/self/mem: Input/output error");
}

std::ptrdiff_t open_descriptors() {
  using Entries = std::filesystem::directory_iterator;
  return std::distance(Entries{"/proc/self/fd"}, Entries{});
}

TEST_CASE_METHOD(Fixture, "A log that was read holds little memory") {
  const std::string bytes = packed(noise(10'000));
  RecordedLog log{write(bytes)};
  const std::size_t before = held;
  std::array<char, 10> space{};
  CHECK(log.read(space) == space.size());
  CHECK(held > before + 200'000);
  CHECK(read_all(log).text.size() == 9'990);
  CHECK(held <= before + 100);
}

TEST_CASE_METHOD(Fixture, "What is gone when its turn comes says so") {
  const std::string file = write("one\ntwo");
  RecordedLog log{file};
  std::filesystem::remove(file);
  CHECK_THROWS_WITH(log.ready(std::chrono::seconds{0}), file + ": No such file or directory");
}

TEST_CASE_METHOD(Fixture, "A file is open only while it is read") {
  const std::string file = write("one\ntwo");
  const auto before = open_descriptors();
  {
    RecordedLog log{file};
    CHECK(open_descriptors() == before);
    std::array<char, 4> space{};
    CHECK(log.read(space) == 4);
    CHECK(open_descriptors() == before + 1);
    CHECK(read_all(log).text == "two");
    CHECK(open_descriptors() == before);
    RecordedLog unfinished{file};
    CHECK(unfinished.read(space) == 4);
  }
  CHECK(open_descriptors() == before);
}

TEST_CASE_METHOD(Fixture, "Standard input may be a file") {
  const int file = open(write(packed("one\ntwo")).c_str(), O_RDONLY | O_CLOEXEC);
  const StandardInput input{file};
  RecordedLog log{"-"};
  CHECK(log.size() == packed("one\ntwo").size());
  CHECK(read_all(log).text == "one\ntwo");
  CHECK(fcntl(STDIN_FILENO, F_GETFD) != -1);
  close(file);
}

}  // namespace
}  // namespace qatime::ingest::recorded_log_test
