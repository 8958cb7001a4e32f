// SPDX-License-Identifier: MIT
// The obvious way to set access times, to measure against: for one path after the other, wait for libnfs's nfs_utimes.
//
//   naive HOST NFS_PORT MOUNT_PORT EXPORT < PATHS      one path per line
//
// Prints the seconds that it took. (It sets mtime, too: nfs_utimes cannot leave it alone.)

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include <nfsc/libnfs.h>
#include <sys/time.h>

int main(int argc, char* argv[]) {
  if (argc != 5) return EXIT_FAILURE;
  const std::string url = "nfs://" + std::string{argv[1]} + "/?version=3&nfsport=" + argv[2] + "&mountport=" + argv[3];
  const std::unique_ptr<nfs_context, decltype(&nfs_destroy_context)> nfs{nfs_init_context(), nfs_destroy_context};
  nfs_destroy_url(nfs_parse_url_incomplete(nfs.get(), url.c_str()));
  nfs_set_uid(nfs.get(), 0);
  nfs_set_gid(nfs.get(), 0);
  if (nfs_mount(nfs.get(), argv[1], argv[4]) < 0) {
    std::cerr << "naive: " << nfs_get_error(nfs.get()) << '\n';
    return EXIT_FAILURE;
  }
  std::vector<std::string> paths;
  for (std::string path; std::getline(std::cin, path);) paths.push_back(path);

  const auto start = std::chrono::steady_clock::now();
  timeval times[2]{};
  gettimeofday(&times[0], nullptr);
  times[1] = times[0];
  for (const std::string& path : paths) {
    if (nfs_utimes(nfs.get(), path.c_str(), times) < 0) {
      std::cerr << "naive: " << path << ": " << nfs_get_error(nfs.get()) << '\n';
      return EXIT_FAILURE;
    }
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  std::cout << took.count() << '\n';
}
