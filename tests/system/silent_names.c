// SPDX-License-Identifier: MIT
// Preloaded into qatime: name servers keep silent about silent.test, and the lookup never returns. The one of late.test
// returns once somebody writes to the FIFO that $LATE_NAME names, with the addresses of localhost.

#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int Lookup(const char*, const char*, const struct addrinfo*, struct addrinfo**);

int getaddrinfo(const char* name, const char* service, const struct addrinfo* hints, struct addrinfo** found) {
  while (name && strcmp(name, "silent.test") == 0) pause();
  if (name && strcmp(name, "late.test") == 0) {
    close(open(getenv("LATE_NAME"), O_RDONLY));
    name = "localhost";
  }
  Lookup* const lookup = (Lookup*)dlsym(RTLD_NEXT, "getaddrinfo");
  return lookup(name, service, hints, found);
}
