// SPDX-License-Identifier: MIT
// A mutex that lets clang check who holds it.
//
// The macros name the attributes of clang's Thread Safety Analysis, which -Wthread-safety switches on
// (https://clang.llvm.org/docs/ThreadSafetyAnalysis.html). For other compilers they are empty.
#pragma once

#include <condition_variable>
#include <mutex>
#include <utility>

#ifdef __clang__
#define QATIME_THREAD_SAFETY(attribute) __attribute__((attribute))
#else
#define QATIME_THREAD_SAFETY(attribute)
#endif

// A field that code reads and writes only while it holds the mutex.
#define QATIME_GUARDED_BY(mutex) QATIME_THREAD_SAFETY(guarded_by(mutex))
// A function or lambda whose caller holds the mutex; one whose caller does not; one that returns holding it.
#define QATIME_REQUIRES(...) QATIME_THREAD_SAFETY(requires_capability(__VA_ARGS__))
#define QATIME_EXCLUDES(...) QATIME_THREAD_SAFETY(locks_excluded(__VA_ARGS__))
#define QATIME_ACQUIRE(...) QATIME_THREAD_SAFETY(acquire_capability(__VA_ARGS__))
#define QATIME_RELEASE(...) QATIME_THREAD_SAFETY(release_capability(__VA_ARGS__))
// A class whose constructor acquires the mutex that its destructor releases.
#define QATIME_UNCHECKED QATIME_THREAD_SAFETY(no_thread_safety_analysis)
#define QATIME_SCOPED QATIME_THREAD_SAFETY(scoped_lockable)

namespace qatime {

// A std::mutex.
class QATIME_THREAD_SAFETY(capability("mutex")) Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void lock() QATIME_ACQUIRE() { mutex_.lock(); }
  void unlock() QATIME_RELEASE() { mutex_.unlock(); }

  // Tells clang that this thread holds the mutex. Use it where the mutex was locked under another name, because clang
  // cannot see that. Does nothing at run time.
  void assert_held() const noexcept QATIME_THREAD_SAFETY(assert_capability(this)) {}

 private:
  friend class ConditionVariable;
  std::mutex mutex_;
};

// Holds a mutex for as long as it lives, as std::lock_guard does.
class QATIME_SCOPED MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) QATIME_ACQUIRE(mutex) : mutex_{mutex} { mutex_.lock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;
  ~MutexLock() QATIME_RELEASE() { mutex_.unlock(); }

 private:
  Mutex& mutex_;
};

// A std::condition_variable. The caller holds the mutex; waiting releases it. `is_true` runs with the mutex held, so it
// may be a lambda with QATIME_REQUIRES(mutex). It must not throw.
class ConditionVariable {
 public:
  void notify_all() noexcept { condition_.notify_all(); }

  // Both return the last answer of `is_true`, so false means that time ran out.
  template <class Duration, class Predicate>
  bool wait_for(Mutex& mutex, const Duration& limit, Predicate is_true) noexcept QATIME_REQUIRES(mutex) {
    std::unique_lock lock{mutex.mutex_, std::adopt_lock};
    const bool result = condition_.wait_for(lock, limit, std::move(is_true));
    (void)lock.release();  // the caller goes on holding it
    return result;
  }
  template <class Instant, class Predicate>
  bool wait_until(Mutex& mutex, const Instant& deadline, Predicate is_true) noexcept QATIME_REQUIRES(mutex) {
    std::unique_lock lock{mutex.mutex_, std::adopt_lock};
    const bool result = condition_.wait_until(lock, deadline, std::move(is_true));
    (void)lock.release();
    return result;
  }

 private:
  std::condition_variable condition_;
};

}  // namespace qatime
