// SPDX-License-Identifier: MIT
// libnfs 4 to 7 as one interface. The only file that includes its headers or knows its versions.
//
// Up to version 5 a call is `int name_async(...)`, 0 if queued. From 6 on it is `rpc_pdu* name_task(...)`, not null if
// queued. Both encode the arguments before they return.
#pragma once

#include <cstdint>
#include <memory>

// libnfs.h comes first, because it tells the version and the others need it.
#include <nfsc/libnfs.h>
//
#include <nfsc/libnfs-raw-mount.h>
#include <nfsc/libnfs-raw-nfs.h>
#include <nfsc/libnfs-raw-portmap.h>
#include <nfsc/libnfs-raw.h>

// Exported by all versions, declared from 7 on.
extern "C" void rpc_set_timeout(rpc_context* rpc, int milliseconds);

namespace qatime::nfs::libnfs {

#ifdef LIBNFS_API_V2
inline auto& getport = rpc_pmap2_getport_task;
inline auto& mnt = rpc_mount3_mnt_task;
inline auto& null = rpc_nfs3_null_task;
inline auto& getattr = rpc_nfs3_getattr_task;
inline auto& lookup = rpc_nfs3_lookup_task;
inline auto& readdirplus = rpc_nfs3_readdirplus_task;
inline auto& setattr = rpc_nfs3_setattr_task;
#else
inline auto& getport = rpc_pmap2_getport_async;
inline auto& mnt = rpc_mount3_mnt_async;
inline auto& null = rpc_nfs3_null_async;
inline auto& getattr = rpc_nfs3_getattr_async;
inline auto& lookup = rpc_nfs3_lookup_async;
inline auto& readdirplus = rpc_nfs3_readdirplus_async;
inline auto& setattr = rpc_nfs3_setattr_async;
#endif

[[nodiscard]] inline bool queued(int result) noexcept { return result == 0; }
[[nodiscard]] inline bool queued(const void* pdu) noexcept { return pdu != nullptr; }

// Returns a context that sends AUTH_SYS credentials and leaves timeouts to its user; null if memory is short.
[[nodiscard]] inline rpc_context* make_context(std::uint32_t uid, std::uint32_t gid) {
  rpc_context* const context = rpc_init_context();
  if (context == nullptr) return nullptr;
  rpc_set_auth(context, libnfs_authunix_create("qatime", uid, gid, 0, nullptr));
  rpc_set_timeout(context, -1);
#ifdef LIBNFS_FEATURE_MULTITHREADING
  rpc_set_hash_size(context, 1024);  // of requests by xid; 4 by default since version 5
#endif
  return context;
}

}  // namespace qatime::nfs::libnfs
