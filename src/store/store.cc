// SPDX-License-Identifier: MIT
// A new file takes the place of another in two steps, so that a crash leaves one of them whole: it is made as
// backlog.db.new, and becomes backlog.db.whole once all is in it. From then on it counts, and the next start finishes
// what this one did not.
#include "store/store.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <map>
#include <ranges>
#include <system_error>
#include <tuple>
#include <utility>

#include <sys/vfs.h>

#include "config/config.h"
#include "store/logger.h"
#include "store/salvage.h"

namespace qatime::backlog {
namespace {

constexpr std::size_t kFillBytes = 16 << 20;                   // that are committed at once while a file is filled
constexpr std::size_t kRowBytes = 8 << 10;                     // of a row besides its blobs: half a page
constexpr std::uint64_t kLeastRoom = 256 << 10;                // bytes of a file without rows, and more than its log
constexpr const char* kSuffixes[] = {"", "-wal", "-journal"};  // of the files that belong to a database

// SQLite gives its other files the permissions of this one.
std::string private_file(const std::string& file) {
  const FileDescriptor descriptor{file, O_RDWR | O_CREAT};
  struct stat status{};
  if (::fstat(descriptor.number(), &status) == 0 && (status.st_mode & 0777) != 0600) {
    (void)::fchmod(descriptor.number(), 0600);
  }
  return file;
}

void rename_file(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) throw system_error(from);
}

// Of a file or a directory.
void sync_to_disk(const std::string& path) {
  const FileDescriptor descriptor{path, O_RDONLY};
  if (::fsync(descriptor.number()) != 0) throw system_error(path);
}

std::uint64_t size_of(const std::string& file) noexcept {
  struct stat status{};
  return ::stat(file.c_str(), &status) == 0 ? static_cast<std::uint64_t>(status.st_size) : 0;
}

void remove_database(const std::string& file) {
  for (const char* suffix : kSuffixes) (void)::unlink((file + suffix).c_str());
}

// Those that we may use.
std::uint64_t free_bytes(const std::string& directory) {
  struct statfs status{};
  if (::statfs(directory.c_str(), &status) != 0) throw system_error(directory);
  return std::uint64_t{status.f_bavail} * static_cast<std::uint64_t>(status.f_bsize);
}

// SQLite deletes the log of an empty file without a word.
bool lost_to_its_log(const std::string& file) { return size_of(file) == 0 && size_of(file + "-wal") > 0; }

// Inserts batches into a file, many in one transaction.
class Filling {
 public:
  explicit Filling(LogFile& file) : file_{file} {}

  void add(const Batch& batch) {
    if (!transaction_) transaction_.emplace(file_.database());
    file_.insert(batch);
    bytes_ += batch.changes.size() + batch.entries.size();
    if (bytes_ >= kFillBytes) finish();
  }
  void finish() {
    if (transaction_) transaction_->commit();
    transaction_.reset();
    bytes_ = 0;
    file_.tidy();
  }

 private:
  LogFile& file_;
  std::optional<sqlite::Transaction> transaction_;
  std::size_t bytes_ = 0;
};

// The time in the name of a file that is set aside, and how many came before it in that second.
std::tuple<std::string, std::size_t, std::string> order_of_time(const std::string& name) {
  const std::string time = name.substr(0, name.rfind('Z'));
  return {time, name.size(), name};
}

}  // namespace

Store::Store(const std::string& directory) : directory_path_{directory}, path_{directory + "/backlog.db"} {
  try {
    open();
  } catch (const StoreError& error) {
    kLog.debug("{}", error.what());  // rows() tries again, and says why
  }
}

// Once more if the file turns out to be damaged, with what can be read of it.
template <class Call>
auto Store::despite_damage(const Call& call) {
  try {
    return call();
  } catch (const sqlite::Error& error) {
    if (!error.damaged()) throw;
    rescue(error.what());
  }
  return call();
}

std::vector<Store::StoredRow> Store::rows() {
  return despite_damage([this] { return file().rows(); });
}

void Store::commit(std::span<const Batch* const> batches, std::span<const std::uint64_t> unneeded) {
  if (!in_place()) move_back();
  despite_damage([&] {
    sqlite::Transaction transaction{file().database()};
    file().mark();
    for (const Batch* const batch : batches) file().insert(*batch);
    for (const std::uint64_t sequence : unneeded) file().erase(sequence);
    file().shrink();
    transaction.commit();
  });
  if (!identities_.log) identities_.log = identity(path_ + "-wal");
  try {
    file().tidy();
  } catch (const StoreError& error) {  // the batch is safe all the same
    kLog.warning(untidy_, "{}: the log grows", error.what());
  }
}

std::optional<Batch> Store::read(std::uint64_t sequence) {
  auto found = despite_damage([&] { return file().read(sequence); });
  if (found && found->right) return std::move(found->batch);
  if (found) set_aside(sequence);
  return std::nullopt;
}

std::optional<std::string> Store::read_changes(std::uint64_t sequence) {
  auto found = despite_damage([&] { return file().read_changes(sequence); });
  if (found && found->right) return std::move(found->batch.changes);
  if (found) set_aside(sequence);
  return std::nullopt;
}

std::size_t Store::bytes() {
  return despite_damage([this] { return file().bytes(); });
}

// An administrator's decision is waited for, too, once the daemon runs.
LogFile& Store::file() {
  try {
    if (!file_) open();
  } catch (const ConfigError& error) {
    throw StoreError{error.what()};
  }
  return *file_;
}

void Store::open() {
  if (!directory_ || !directory_->in_place()) directory_ = StateDirectory{directory_path_};
  const std::string whole = path_ + ".whole";
  LogFile::refuse_others(exists(whole) ? whole : path_);
  finish_replacement();
  if (lost_to_its_log(path_)) rescue(fmt::format("{} is empty and {}-wal is not", path_, path_));
  try {
    file_ = std::make_unique<LogFile>(private_file(path_));
  } catch (const sqlite::Error& error) {
    if (!error.damaged()) throw;
    rescue(error.what());
    return open();
  }
  identities_ = {identity(path_), identity(path_ + "-wal")};
  was_open_ = true;
}

// Leaves all of its files as they are.
void Store::close() noexcept {
  if (file_) file_->database().keep_log();
  file_.reset();
}

bool Store::in_place() const noexcept {
  return !file_ ||
         (identities_.file == identity(path_) && (!identities_.log || identities_.log == identity(path_ + "-wal")));
}

// Nobody else can reach the open file any more.
void Store::move_back() {
  try {
    if (!directory_ || !directory_->in_place()) directory_ = StateDirectory{directory_path_};
  } catch (const ConfigError& error) {
    throw StoreError{error.what()};
  }
  std::size_t count = 0;
  replace([&](LogFile& fresh) {
    Filling filling{fresh};
    for (const StoredRow& row : file_->rows()) {
      if (const auto found = file_->read(row.sequence); found && found->right) filling.add(found->batch);
      ++count;
    }
    filling.finish();
  });
  close();
  open();
  kLog.warning("{} was moved or deleted: it is there again, with its {} batches", log::field("file", path_),
               log::field("batches", count));
}

// Makes a new file of what can be read of the damaged one, and opens nothing. SQLite calls it damage, too, if the disk
// refuses to be read: that may pass, but a sector that is lost for good must not keep the daemon without a log.
void Store::rescue(const std::string& why) {
  close();
  Salvaged found;
  Salvaged left;
  std::uint64_t room = free_bytes(directory_path_);
  const auto fill = [&](LogFile& fresh) {
    left = {};
    Filling filling{fresh};
    const std::uint64_t first = first_within(room);
    const auto keep = [&](const Batch& batch) {
      if (batch.sequence >= first) return filling.add(batch);
      ++left.batches;
      left.accesses += batch.accesses;
    };
    found = salvage(path_, keep, was_open_ ? Unreadable::refuse : Unreadable::skip);
    filling.finish();
  };
  std::string kept;
  while (kept.empty()) {
    try {
      kept = replace(fill);
    } catch (const sqlite::Error& error) {
      if (!error.full() || room < kLeastRoom) throw;
      room /= 2;
    }
  }
  const std::string no_room =
      left.batches == 0 ? ""
                        : fmt::format(", had no room for {} more with {} accesses, which are in that file alone",
                                      left.batches, left.accesses);
  kLog.error("{}: kept {} batches with {} accesses, lost {} or more{}; the damaged file is {}", why,
             log::field("batches", found.batches - left.batches),
             log::field("accesses", found.accesses - left.accesses), log::field("lost", found.damaged), no_room,
             log::field("file", kept));
}

// Returns the first sequence that goes into the new file, because all behind it have room there: an access must not
// come back without the changes that it has to follow. The write-ahead log takes as much again, up to its limit.
std::uint64_t Store::first_within(std::uint64_t room) const {
  constexpr std::uint64_t kLogBytes = 3 * kFillBytes;
  if (size_of(path_) + size_of(path_ + "-wal") + kLogBytes <= room) return 0;
  std::map<std::uint64_t, std::size_t> sizes;
  (void)salvage(path_, [&](const Batch& batch) {
    sizes.emplace(batch.sequence, batch.changes.size() + batch.entries.size() + kRowBytes);
  });
  std::uint64_t first = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t sum = 0;
  for (const auto& [sequence, bytes] : sizes | std::views::reverse) {
    sum += bytes;
    if (kLeastRoom + sum + std::min(sum, kLogBytes) > room) break;
    first = sequence;
  }
  return first;
}

std::string Store::replace(const std::function<void(LogFile&)>& fill) {
  const std::string fresh = path_ + ".new";
  remove_database(fresh);
  try {
    LogFile file{private_file(fresh)};
    fill(file);
    file.database().checkpoint();
  } catch (...) {
    remove_database(fresh);  // others need the room
    throw;
  }
  (void)::unlink((fresh + "-wal").c_str());
  sync_to_disk(fresh);
  rename_file(fresh, path_ + ".whole");
  sync_to_disk(directory_path_);
  return finish_replacement();
}

std::string Store::finish_replacement() {
  const std::string whole = path_ + ".whole";
  if (!exists(whole)) return {};
  const std::string kept = unused_name();
  for (const char* suffix : kSuffixes) {
    if (exists(path_ + suffix)) rename_file(path_ + suffix, kept + suffix);
  }
  rename_file(whole, path_);
  sync_to_disk(directory_path_);
  forget_oldest();
  return kept;
}

// Keeps a damaged row in a file of such rows, and deletes it from the log.
void Store::set_aside(std::uint64_t sequence) {
  const auto found = despite_damage([&] { return file().read(sequence); });
  if (!found || found->right) return;
  const Batch& batch = found->batch;
  if (damaged_rows_.empty()) damaged_rows_ = unused_name();
  const std::string text = fmt::format(
      "batch {} of {}, damaged: {} accesses in {} bytes, {} changes in {} bytes; first the changes:\n{}{}\n",
      batch.sequence, format_rfc3339(batch.written), batch.accesses, batch.entries.size(), batch.changes_count,
      batch.changes.size(), batch.changes, batch.entries);
  {
    const FileDescriptor kept{damaged_rows_, O_WRONLY | O_CREAT | O_APPEND};
    if (::write(kept.number(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
        ::fsync(kept.number()) != 0) {
      throw system_error(damaged_rows_);
    }
  }
  commit(nullptr, {&sequence, 1});
  forget_oldest();
  kLog.error("{}: batch {} of {} is damaged: lost {} accesses and {} changes, which are set aside in {}",
             log::field("file", path_), sequence, format_rfc3339(batch.written), log::field("accesses", batch.accesses),
             log::field("changes", batch.changes_count), log::field("kept", damaged_rows_));
}

// backlog.db.corrupt-20260127T141223Z, or with a number behind it if there is one.
std::string Store::unused_name() const {
  std::string time = format_rfc3339(now()).substr(0, 19);
  std::erase_if(time, [](char character) { return character == '-' || character == ':'; });
  const std::string first = fmt::format("{}.corrupt-{}Z", path_, time);
  std::string name = first;
  for (int i = 2; identity(name) || identity(name + "-wal"); ++i) name = fmt::format("{}-{}", first, i);
  return name;
}

// Of what is set aside.
void Store::forget_oldest() const {
  const std::string prefix = path_ + ".corrupt-";
  std::vector<std::string> all;
  std::error_code unreadable;  // then there is another time
  for (std::filesystem::directory_iterator entry{directory_path_, unreadable}, end; !unreadable && entry != end;
       entry.increment(unreadable)) {
    const std::string& name = entry->path().native();
    if (name.starts_with(prefix) && !name.ends_with("-wal") && !name.ends_with("-journal")) all.push_back(name);
  }
  if (all.size() <= kMostKept) return;
  std::ranges::sort(all, {}, order_of_time);
  for (const std::string& name : std::span{all}.first(all.size() - kMostKept)) {
    remove_database(name);
    if (identity(name)) continue;
    kLog.warning("{} is deleted: the latest {} damaged files are kept", log::field("file", name), kMostKept);
  }
}

}  // namespace qatime::backlog
