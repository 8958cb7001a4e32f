// SPDX-License-Identifier: MIT
//
// libnfs 4 believes what a reply says: it copies a verifier to where a CALL has none, makes room for as many flavors as
// MNT announces, goes backwards in a record by a length near 2^32, and calls itself for each entry of a directory.
// Later versions have mended some of it. So each reply is walked along here before libnfs gets it, by the same grammar:
// RFC 5531 section 9 around the results, RFC 1813 and RFC 1833 inside.
#include "nfs/reply/checker.h"

#include <cstring>

#include <netinet/in.h>

namespace qatime::nfs {

namespace {

constexpr std::size_t kMostOfVerifier = 400;  // bytes, RFC 5531 section 8.2
constexpr std::size_t kMostOfHandle = 64;     // NFS3_FHSIZE and FHSIZE3; what an empty one means, its caller decides
constexpr std::size_t kFattr3 = 84;           // bytes of these structures of RFC 1813
constexpr std::size_t kWccAttr = 24;

// A place in a message (XDR, RFC 4506). After the first fault it stands at the end, where all words are 0.
class XdrCursor {
 public:
  explicit XdrCursor(std::string_view message) noexcept : at_{message.data()}, end_{at_ + message.size()} {}

  [[nodiscard]] const char* fault() const noexcept { return fault_; }
  void fail(const char* fault) noexcept {
    if (fault_ == nullptr) fault_ = fault;
    at_ = end_;
  }
  std::uint32_t word() noexcept {
    std::uint32_t word = 0;
    if (!has(sizeof word)) return 0;
    std::memcpy(&word, at_, sizeof word);
    at_ += sizeof word;
    return ntohl(word);
  }
  bool boolean() noexcept {
    const std::uint32_t word = this->word();
    if (word > 1) fail("has a boolean that is neither 0 nor 1");
    return word == 1;
  }
  void skip(std::size_t size) noexcept {
    if (has(size)) at_ += size;
  }
  // Bytes behind their number, of which there may be `most`. `too_many` is the fault if there are more.
  void skip_opaque(std::size_t most, const char* too_many) noexcept {
    const std::size_t size = word();
    if (size > most) return fail(too_many);
    skip((size + 3) / 4 * 4);
  }

 private:
  bool has(std::size_t size) noexcept {
    if (size <= static_cast<std::size_t>(end_ - at_)) return true;
    fail("ends amid its results");
    return false;
  }

  const char* at_;
  const char* end_;
  const char* fault_ = nullptr;
};

void check_handle(XdrCursor& in) noexcept { in.skip_opaque(kMostOfHandle, "has a handle of more than 64 bytes"); }

// post_op_attr
void check_attributes(XdrCursor& in) noexcept {
  if (in.boolean()) in.skip(kFattr3);
}

// wcc_data
void check_change(XdrCursor& in) noexcept {
  if (in.boolean()) in.skip(kWccAttr);
  check_attributes(in);
}

void check_mount(XdrCursor& in) noexcept {
  check_handle(in);
  const std::size_t flavors = in.word();
  in.skip(4 * flavors);
}

void check_found(XdrCursor& in) noexcept {
  check_handle(in);
  check_attributes(in);  // of the object
  check_attributes(in);  // of the directory
}

void check_page(XdrCursor& in) noexcept {
  check_attributes(in);
  in.skip(8);  // cookieverf3
  for (std::size_t entries = 0; in.boolean(); ++entries) {
    if (entries == kMostEntriesOfReply) return in.fail("has more than 16384 entries");
    in.skip(8);  // fileid3
    in.skip_opaque(SIZE_MAX, nullptr);
    in.skip(8);  // cookie3
    check_attributes(in);
    if (in.boolean()) check_handle(in);
  }
  (void)in.boolean();  // eof
}

void check_results(XdrCursor& in, RemoteProcedure procedure) noexcept {
  if (procedure == RemoteProcedure::null) return;
  const bool is_ok = in.word() == 0;  // nfsstat3, mountstat3; any number is one of a failure
  switch (procedure) {
    case RemoteProcedure::getattr:
      return is_ok ? in.skip(kFattr3) : void();
    case RemoteProcedure::setattr:
      return check_change(in);
    case RemoteProcedure::lookup:
      return is_ok ? check_found(in) : check_attributes(in);
    case RemoteProcedure::readdirplus:
      return is_ok ? check_page(in) : check_attributes(in);
    case RemoteProcedure::mnt:
      return is_ok ? check_mount(in) : void();
    case RemoteProcedure::getport:  // the word was the port
    case RemoteProcedure::null:
      return;
    case RemoteProcedure::other:
      return in.fail("has results that qatime does not know");
  }
}

// accepted_reply
void check_accepted(XdrCursor& in, RemoteProcedure procedure) noexcept {
  constexpr std::uint32_t kSuccess = 0;
  constexpr std::uint32_t kMismatch = 2;
  constexpr std::uint32_t kLast = 5;
  in.skip(4);  // the flavor of the verifier
  in.skip_opaque(kMostOfVerifier, "has a verifier of more than 400 bytes");
  const std::uint32_t stat = in.word();
  if (stat == kSuccess) return check_results(in, procedure);
  if (stat == kMismatch) in.skip(8);  // versions
  if (stat > kLast) in.fail("has no accept_stat that there is");
}

// rejected_reply
void check_denied(XdrCursor& in) noexcept {
  const std::uint32_t stat = in.word();
  if (stat > 1) in.fail("has no reject_stat that there is");
  in.skip(stat == 0 ? 8 : 4);  // versions, or an auth_stat
}

}  // namespace

RemoteProcedure remote_procedure(std::uint32_t program, std::uint32_t version, std::uint32_t number) noexcept {
  constexpr std::uint32_t kNfs = 100003;
  constexpr std::uint32_t kMount = 100005;
  constexpr std::uint32_t kPortmapper = 100000;
  if (number == 0) return RemoteProcedure::null;
  if (program == kNfs && version == 3) {
    switch (number) {
      case 1:
        return RemoteProcedure::getattr;
      case 2:
        return RemoteProcedure::setattr;
      case 3:
        return RemoteProcedure::lookup;
      case 17:
        return RemoteProcedure::readdirplus;
      default:
        return RemoteProcedure::other;
    }
  }
  if (program == kMount && version == 3 && number == 1) return RemoteProcedure::mnt;
  if (program == kPortmapper && version == 2 && number == 3) return RemoteProcedure::getport;
  return RemoteProcedure::other;
}

const char* name(RemoteProcedure procedure) noexcept {
  switch (procedure) {
    case RemoteProcedure::null:
      return "NULL";
    case RemoteProcedure::getport:
      return "GETPORT";
    case RemoteProcedure::mnt:
      return "MNT";
    case RemoteProcedure::getattr:
      return "GETATTR";
    case RemoteProcedure::setattr:
      return "SETATTR";
    case RemoteProcedure::lookup:
      return "LOOKUP";
    case RemoteProcedure::readdirplus:
      return "READDIRPLUS";
    case RemoteProcedure::other:
      break;
  }
  return "a call";
}

const char* find_fault(RemoteProcedure procedure, std::string_view message) noexcept {
  constexpr std::uint32_t kReply = 1;
  constexpr std::uint32_t kDenied = 1;
  XdrCursor in{message};
  in.skip(4);  // xid
  if (in.word() != kReply) in.fail("is no reply, by its direction");
  const std::uint32_t stat = in.word();
  if (stat == kDenied) {
    check_denied(in);
  } else if (stat == 0) {
    check_accepted(in, procedure);
  } else {
    in.fail("is neither accepted nor denied");
  }
  return in.fault();
}

}  // namespace qatime::nfs
