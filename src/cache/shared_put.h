// What a worker has still to write to one server of the shared tier: behind the responses, in the
// order in which it came for each key, a few entries at a time.
//
// Owner: the SharedLink. Thread: the worker's loop. An entry has one command under way at a time:
// its chunks one after the other, then the script that puts its record in; for a body whose chunks
// should be there already (the entry was read from there, or a 304 has freshened it) the script
// alone, and all of it if they are not. What fails costs that entry only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sluice/base/list.h"
#include "sluice/base/ref.h"
#include "sluice/cache/entry.h"
#include "sluice/cache/shared_tier.h"
#include "sluice/redis/script.h"
#include "sluice/stats/counters.h"

namespace sluice::cache {

class SharedLink;

// Longer bodies are neither written nor read: one that fills the queue.
inline constexpr size_t kLongestSharedBody = 16 * 1024 * 1024;
// Every look reads the records of all variants: with longer values of its Vary fields, or a longer
// record, a variant is not written.
inline constexpr size_t kLongestSharedVary = 1024;
inline constexpr size_t kLongestVariedRecord = 16 * 1024;

class SharedWriter {
 public:
  explicit SharedWriter(SharedLink& link);
  ~SharedWriter();
  SharedWriter(const SharedWriter&) = delete;
  SharedWriter& operator=(const SharedWriter&) = delete;

  void put(Ref<Entry> entry, const SharedStamp& stamp, Duration keep);
  // What waits to be written of that variant is dropped, and what is there deleted.
  void remove(const Entry& entry);
  void remove_all(std::string_view name);  // of all variants; `name`: of their hash
  // Gives the lease of that key back, after what waits to be written of it. `name`: of its hash.
  void release(std::string_view name, std::string_view token);
  // Drops everything without a word.
  void stop() noexcept;

 private:
  class Job;

  template <typename F>
  void drop_if(F&& is_meant) noexcept;
  void start_some();
  bool may_start(const Job& job) noexcept;
  void end(Job& job, std::optional<stats::Counter> how) noexcept;
  void take_out(Job& job) noexcept;
  void drop(Job& job) noexcept;

  SharedLink& link_;
  redis::Script script_;
  List<Job> waiting_;
  List<Job> running_;
  size_t count_ = 0;    // of both
  size_t bytes_ = 0;    // of the bodies of both
  size_t at_once_ = 0;  // bytes that may be unacknowledged at a time of those running
};

}  // namespace sluice::cache
