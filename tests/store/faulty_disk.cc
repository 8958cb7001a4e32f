// SPDX-License-Identifier: MIT
#include "store/faulty_disk.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <utility>

namespace {

constexpr std::size_t kSector = 512;

// As SQLite allocates it; the real file follows.
struct Handle {
  sqlite3_file base;
  FaultyDisk* disk;
  std::string* name;
};

Handle& handle(sqlite3_file* file) { return *reinterpret_cast<Handle*>(file); }
sqlite3_file* real(sqlite3_file* file) { return reinterpret_cast<sqlite3_file*>(reinterpret_cast<Handle*>(file) + 1); }
FaultyDisk& disk_of(sqlite3_vfs* vfs) { return *static_cast<FaultyDisk*>(vfs->pAppData); }
FaultyDisk::File& model(sqlite3_file* file) { return handle(file).disk->file(*handle(file).name); }

std::string content(const std::string& name) {
  std::ifstream stream{name, std::ios::binary};
  return {std::istreambuf_iterator<char>{stream}, {}};
}

void apply(const FaultyDisk::Change& change, std::string& to) {
  if (change.truncates) return to.resize(std::min(change.offset, to.size()));
  if (to.size() < change.offset + change.bytes.size()) to.resize(change.offset + change.bytes.size());
  to.replace(change.offset, change.bytes.size(), change.bytes);
}

int close_file(sqlite3_file* file) {
  const int code = real(file)->pMethods->xClose(real(file));
  delete handle(file).name;
  return code;
}

int read(sqlite3_file* file, void* into, int size, sqlite3_int64 offset) {
  if (handle(file).disk->fails()) return SQLITE_IOERR_READ;
  return real(file)->pMethods->xRead(real(file), into, size, offset);
}

int write(sqlite3_file* file, const void* from, int size, sqlite3_int64 offset) {
  if (handle(file).disk->fails()) return size % 1024 == 0 ? SQLITE_FULL : SQLITE_IOERR_WRITE;
  const auto* bytes = static_cast<const char*>(from);
  model(file).changes.push_back(
      {static_cast<std::size_t>(offset), {bytes, static_cast<std::size_t>(size)}, /*truncates=*/false});
  return real(file)->pMethods->xWrite(real(file), from, size, offset);
}

int truncate_file(sqlite3_file* file, sqlite3_int64 size) {
  if (handle(file).disk->fails()) return SQLITE_IOERR_TRUNCATE;
  model(file).changes.push_back({static_cast<std::size_t>(size), {}, /*truncates=*/true});
  return real(file)->pMethods->xTruncate(real(file), size);
}

// The real disk need not work for it.
int sync_file(sqlite3_file* file, int /*flags*/) {
  if (handle(file).disk->fails()) return SQLITE_IOERR_FSYNC;
  handle(file).disk->at_sync();
  FaultyDisk::File& synced = model(file);
  for (const auto& change : synced.changes) apply(change, synced.synced);
  synced.changes.clear();
  synced.durable = true;
  return SQLITE_OK;
}

int file_size(sqlite3_file* file, sqlite3_int64* size) { return real(file)->pMethods->xFileSize(real(file), size); }
int lock(sqlite3_file* file, int level) { return real(file)->pMethods->xLock(real(file), level); }
int unlock(sqlite3_file* file, int level) { return real(file)->pMethods->xUnlock(real(file), level); }
int check_reserved(sqlite3_file* file, int* result) {
  return real(file)->pMethods->xCheckReservedLock(real(file), result);
}
int control(sqlite3_file* file, int operation, void* argument) {
  return real(file)->pMethods->xFileControl(real(file), operation, argument);
}
int sector_size(sqlite3_file* /*file*/) { return kSector; }
int characteristics(sqlite3_file* /*file*/) { return 0; }  // not even sectors are written as a whole

// Version 1: no shared memory.
constexpr sqlite3_io_methods kMethods{
    1,       close_file, read,           write,   truncate_file, sync_file,       file_size,
    lock,    unlock,     check_reserved, control, sector_size,   characteristics, nullptr,
    nullptr, nullptr,    nullptr,        nullptr, nullptr};

int open_file(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* flags_out) {
  file->pMethods = nullptr;
  FaultyDisk& disk = disk_of(vfs);
  if (disk.fails()) return SQLITE_CANTOPEN;
  const bool existed = std::filesystem::exists(name);
  const int code = disk.real()->xOpen(disk.real(), name, real(file), flags, flags_out);
  if (code != SQLITE_OK) return code;
  handle(file).disk = &disk;
  handle(file).name = new std::string{name};
  file->pMethods = &kMethods;
  if (existed && !disk.file(name).durable) disk.file(name) = {content(name), /*durable=*/true, false, {}};
  if (!existed) disk.file(name) = {};
  return SQLITE_OK;
}

int delete_file(sqlite3_vfs* vfs, const char* name, int sync_directory) {
  FaultyDisk& disk = disk_of(vfs);
  if (disk.fails()) return SQLITE_IOERR_DELETE;
  const int code = disk.real()->xDelete(disk.real(), name, 0);
  if (code == SQLITE_OK && sync_directory != 0) disk.forget(name);
  if (code == SQLITE_OK && sync_directory == 0) disk.file(name).deleted = true;
  return code;
}

}  // namespace

FaultyDisk::FaultyDisk() : real_{sqlite3_vfs_find("unix")}, vfs_{*real_} {
  vfs_.szOsFile = static_cast<int>(sizeof(Handle)) + real_->szOsFile;
  vfs_.pNext = nullptr;
  vfs_.zName = "faulty";
  vfs_.pAppData = this;
  vfs_.xOpen = open_file;
  vfs_.xDelete = delete_file;
  vfs_.xAccess = [](sqlite3_vfs* vfs, const char* name, int flags, int* result) {
    return disk_of(vfs).real()->xAccess(disk_of(vfs).real(), name, flags, result);
  };
  vfs_.xFullPathname = [](sqlite3_vfs* vfs, const char* name, int size, char* result) {
    return disk_of(vfs).real()->xFullPathname(disk_of(vfs).real(), name, size, result);
  };
  sqlite3_vfs_register(&vfs_, 1);
}

FaultyDisk::~FaultyDisk() {
  sqlite3_vfs_unregister(&vfs_);
  sqlite3_vfs_register(real_, 1);
}

void FaultyDisk::fail_after(std::size_t calls, std::size_t times) {
  calls_left_ = calls;
  failures_left_ = times;
  failed_ = false;
}

bool FaultyDisk::fails() {
  if (calls_left_ > 0) {
    --calls_left_;
    return false;
  }
  if (failures_left_ == 0) return false;
  --failures_left_;
  failed_ = true;
  return true;
}

void FaultyDisk::lose_what_was_not_synced(std::mt19937& random) {
  const auto coin = [&random] { return random() % 2 == 0; };
  for (auto& [name, file] : std::exchange(files_, {})) {
    if ((!file.durable || file.deleted) && coin()) {
      std::filesystem::remove(name);
      continue;
    }
    for (const Change& change : file.changes) {
      if (change.truncates && coin()) apply(change, file.synced);
      for (std::size_t at = 0; at < change.bytes.size(); at += kSector) {
        if (coin()) apply({change.offset + at, change.bytes.substr(at, kSector), false}, file.synced);
      }
    }
    std::ofstream{name, std::ios::binary | std::ios::trunc} << file.synced;
  }
  fail_after(SIZE_MAX, 0);
}
