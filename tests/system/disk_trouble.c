// SPDX-License-Identifier: MIT
// Preloaded into qatime: its disk is in trouble while the file that $DISK_TROUBLE names holds a word. "fails": nothing
// can be written; "unreadable": nothing can be read but the first pages of a file (the schema, the map of pages and the
// rows), which say what there is; "blind": nothing can be read at all; "hangs": what is written is not synced until the
// word is gone.

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { kFirstPages = 3 * 16384 };  // bytes

ssize_t pread64(int file, void* bytes, size_t size, off64_t offset);
ssize_t pwrite64(int file, const void* bytes, size_t size, off64_t offset);

// The first letter of the word, or 0.
static char trouble(void) {
  const char* const name = getenv("DISK_TROUBLE");
  const int file = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
  char letter = 0;
  if (file < 0) return 0;
  if (read(file, &letter, 1) != 1) letter = 0;
  close(file);
  return letter;
}

ssize_t pread64(int file, void* bytes, size_t size, off64_t offset) {
  const char letter = trouble();
  if (letter == 'b' || (letter == 'u' && offset >= kFirstPages)) {
    errno = EIO;
    return -1;
  }
  return syscall(SYS_pread64, file, bytes, size, offset);
}

ssize_t pwrite64(int file, const void* bytes, size_t size, off64_t offset) {
  if (trouble() == 'f') {
    errno = EIO;
    return -1;
  }
  return syscall(SYS_pwrite64, file, bytes, size, offset);
}

int fdatasync(int file) {
  while (trouble() == 'h') usleep(10000);
  return (int)syscall(SYS_fdatasync, file);
}
