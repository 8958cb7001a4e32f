// SPDX-License-Identifier: MIT
// Preloaded into qatime: name servers keep silent about silent.test, and the lookup never returns. The one of late.test
// returns once somebody writes to the FIFO that $LATE_NAME names, with the addresses of localhost. Those of moving.test
// are the words of the file that $MOVING_NAME names.

#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int Lookup(const char*, const char*, const struct addrinfo*, struct addrinfo**);

static int find_moving(Lookup* lookup, const char* service, const struct addrinfo* hints, struct addrinfo** found) {
  char address[64];
  struct addrinfo** end = found;
  FILE* const file = fopen(getenv("MOVING_NAME"), "r");
  *found = NULL;
  while (file && fscanf(file, "%63s", address) == 1) {
    if (lookup(address, service, hints, end) == 0) end = &(*end)->ai_next;  // glibc frees each by itself
  }
  if (file) fclose(file);
  return *found ? 0 : EAI_NONAME;
}

int getaddrinfo(const char* name, const char* service, const struct addrinfo* hints, struct addrinfo** found) {
  while (name && strcmp(name, "silent.test") == 0) pause();
  if (name && strcmp(name, "late.test") == 0) {
    close(open(getenv("LATE_NAME"), O_RDONLY));
    name = "localhost";
  }
  Lookup* const lookup = (Lookup*)dlsym(RTLD_NEXT, "getaddrinfo");
  if (name && strcmp(name, "moving.test") == 0) return find_moving(lookup, service, hints, found);
  return lookup(name, service, hints, found);
}
