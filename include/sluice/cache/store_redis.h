// The shared tier as one worker uses it: looks up, writes behind, and takes leases. What is stored
// where stands in shared_tier.h.
//
// Owner: a worker, one for each SharedTier that it is given. Thread: the worker's loop. stop() ends
// all looks by the end of the turn; destroy it after that, not inside a call back.
// Redis is input: whatever it says, and however late, costs at most the time that the settings
// allow, and what does not decode, check and match is not there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sluice/base/ref.h"
#include "sluice/cache/cache.h"
#include "sluice/cache/entry.h"
#include "sluice/cache/shared_tier.h"
#include "sluice/http/message.h"
#include "sluice/loop/loop.h"
#include "sluice/stats/counters.h"

namespace sluice::cache {

class SharedLink;  // one server of the tier, as one worker uses it
class SharedStore;

// Why a look brought nothing that would do.
enum class SharedMiss : uint8_t {
  none,    // it brought something
  absent,  // not there, or no variant for this request
  purged,  // there, but purged since, or of another epoch
  broken,  // there, but not what was written; that is deleted
  late,    // not within the budget
  away,    // no connection, the breaker is open, too much under way, or it answers with errors
  no_room  // the memory tier's budget refuses
};
std::string_view to_string(SharedMiss why) noexcept;

// The whole business of a miss in memory with the shared tier: look; if that does not bring enough,
// take the lease of who fetches; if another host has it, wait a little and look again.
//
// Owner: who asks. on_look_end() comes exactly once, never inside look(); cancel(), or destruction,
// forgets it. It may then look again. The lease, once taken, is kept until release(), the next
// look() or destruction: then what was put() of that key before is written before the lease goes.
class SharedLook {
 public:
  struct Result {
    Ref<Entry> entry;        // of this request's variant; stale perhaps. Body complete
    bool is_enough = false;  // the entry will do
    SharedMiss why = SharedMiss::none;
    SharedStamp stamp;  // for put() of what will be fetched; not known after `late`, `away`: what
                        // comes too late would as late once it is written again
    bool has_lease = false;
    bool is_fetched_elsewhere = false;  // another host has the lease, and has taken its time
  };
  struct Question {
    const Key& key;                  // copied
    const http::FieldList& request;  // fields of the request; must stay until the end
    bool may_wait = true;            // for the fetch of another host
    bool may_lease = true;           // who asks will fetch what is not there
  };

  SharedLook() noexcept;
  SharedLook(const SharedLook&) = delete;
  SharedLook& operator=(const SharedLook&) = delete;

  void look(SharedStore& store, const Question& question);
  void cancel() noexcept;
  bool is_pending() const noexcept;
  // Somebody else may fetch. No call back.
  void release() noexcept;

 protected:
  ~SharedLook();

 private:
  virtual bool is_enough(const Entry& entry) noexcept = 0;
  virtual void on_look_end(const Result& result) noexcept = 0;

  struct State;
  std::unique_ptr<State> state_;
};

class SharedStore {
 public:
  SharedStore(loop::Loop& loop, Cache& cache, std::shared_ptr<SharedTier> tier,
              stats::Counters& counters);
  ~SharedStore();
  SharedStore(const SharedStore&) = delete;
  SharedStore& operator=(const SharedStore&) = delete;

  void start();
  void stop() noexcept;

  const SharedTier& tier() const noexcept;
  // Worth a look: the server of the key is there and its breaker closed. Cheap.
  bool is_up(const Key& key) const noexcept;

  // Write-behind of a whole entry, off the way of the response; `keep`: how long after its times
  // it may still be validated. Skipped and counted when the queue is full or the server away.
  void put(Ref<Entry> entry, const SharedStamp& stamp, Duration keep);
  // What is there of this variant, or waits to be written, goes; other hosts are not told.
  // False: its server is not there, so nothing was done.
  bool remove(const Entry& entry);
  // The same for all variants of a key, where it is not known which there are.
  void remove_all(const Key& key);

 private:
  friend class SharedLook;
  SharedLink& link_of(const Key& key) const noexcept;

  std::shared_ptr<SharedTier> tier_;
  std::vector<std::unique_ptr<SharedLink>> links_;  // one a server, in the tier's order
};

}  // namespace sluice::cache
