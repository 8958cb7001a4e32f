// SPDX-License-Identifier: MIT
// Preloaded into ganesha.nfsd, which gives up where it cannot register with a portmapper: lets it believe that it did.
// So a test needs neither rpcbind nor port 111 nor root.

int rpcb_set(unsigned program, unsigned version, const void* netconfig, const void* address);
int rpcb_unset(unsigned program, unsigned version, const void* netconfig);

int rpcb_set(unsigned program, unsigned version, const void* netconfig, const void* address) {
  (void)program, (void)version, (void)netconfig, (void)address;
  return 1;
}

int rpcb_unset(unsigned program, unsigned version, const void* netconfig) {
  (void)program, (void)version, (void)netconfig;
  return 1;
}
