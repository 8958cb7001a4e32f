// SPDX-License-Identifier: MIT
// A new file takes the place of another in two steps, so that a crash leaves one of them whole: it is made as
// backlog.db.new, and becomes backlog.db.whole once all is in it. From then on it counts, and the next start finishes
// what this one did not.
#include "store/store.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "config/config.h"
#include "store/logger.h"
#include "store/salvage.h"

namespace qatime::backlog {
namespace {

constexpr std::size_t kFillBytes = 16 << 20;                   // that are committed at once while a file is filled
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

}  // namespace

Store::Store(const std::string& directory) : directory_path_{directory}, path_{directory + "/backlog.db"} {
  try {
    open();
  } catch (const StoreError&) {  // rows() tries again, and says why
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
    if (!directory_->in_place()) directory_ = StateDirectory{directory_path_};
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
  const std::string kept = replace([&](LogFile& fresh) {
    Filling filling{fresh};
    found = salvage(
        path_, [&](const Batch& batch) { filling.add(batch); }, was_open_ ? Unreadable::refuse : Unreadable::skip);
    filling.finish();
  });
  kLog.error("{}: kept {} batches with {} accesses, lost {} or more; the damaged file is {}", why,
             log::field("batches", found.batches), log::field("accesses", found.accesses),
             log::field("lost", found.damaged), log::field("file", kept));
}

std::string Store::replace(const std::function<void(LogFile&)>& fill) {
  const std::string fresh = path_ + ".new";
  for (const char* suffix : kSuffixes) (void)::unlink((fresh + suffix).c_str());
  {
    LogFile file{private_file(fresh)};
    fill(file);
    file.database().checkpoint();
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

}  // namespace qatime::backlog
