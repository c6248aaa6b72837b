// What a server of the shared tier has under one key, for people to look at: asked for once, judged
// as a look-up of this process would judge it, and changed by nothing.
//
// Owner: who asks. Thread: control. on_inspect_end() comes exactly once, never inside inspect(), at
// the latest when kInspectTime is over, whatever becomes of the connection meanwhile; destruction
// forgets it. One command is under way at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sluice/base/clock.h"
#include "sluice/cache/cache.h"
#include "sluice/cache/key.h"
#include "sluice/cache/policy_reuse.h"
#include "sluice/cache/shared_tier.h"
#include "sluice/http/message.h"
#include "sluice/loop/loop.h"
#include "sluice/loop/timer.h"
#include "sluice/redis/client.h"

namespace sluice::cache {

inline constexpr Duration kInspectTime = std::chrono::seconds(1);

// Who is to be asked about a key: see PurgeHub::access().
struct SharedAccess {
  std::shared_ptr<SharedTier> tier;
  size_t index = 0;  // of the server
  redis::Client* client = nullptr;
};

// One record under the key.
struct SharedVariant {
  enum class State : uint8_t {
    good,           // as fresh or stale as its times say
    soft_purged,    // stale since a soft purge
    purged,         // or older than the purges that are on record
    other_epoch,    // of before the server lost its record of purges
    behind,         // not judged: this process has not heard of all purges there
    over,           // of no more use, not even to be validated
    ahead,          // its clock is more than a day ahead of ours
    no_body,        // the chunks of its body are gone
    broken,         // not what was written
    other_version,  // of another sluice, which reads another format
    other_key       // another key of the same hash
  };
  using Vary = std::vector<std::pair<std::string, std::optional<std::string>>>;

  State state = State::broken;
  bool is_match = false;  // of those that are of use, the one for the request
  size_t record = 0;      // its bytes, without a body that stands in chunks
  // Of what decodes:
  int status = 0;
  uint64_t bytes = 0;  // of the body
  EntryFacts facts;
  Vary vary;
  size_t tags = 0;
  std::string etag, last_modified;

  bool is_readable() const noexcept { return state < State::broken; }
  bool is_of_use() const noexcept { return state <= State::soft_purged; }
};
std::string_view to_string(SharedVariant::State state) noexcept;

struct SharedFinding {
  enum class Answer : uint8_t {
    found,
    absent,
    late,    // no answer within kInspectTime
    away,    // there is no connection, or it was lost
    refused  // the server answered with an error
  };
  Answer answer = Answer::absent;
  std::string server;              // without user and password
  std::string name;                // of the key in Redis
  std::string problem;             // of away and refused
  std::optional<Duration> expiry;  // when the server forgets the key
  std::vector<SharedVariant> variants;

  const SharedVariant* match() const noexcept;
};
std::string_view to_string(SharedFinding::Answer answer) noexcept;

class SharedInspect : private redis::Call {
 public:
  SharedInspect(loop::Loop& loop, const Cache& cache);
  SharedInspect(const SharedInspect&) = delete;
  SharedInspect& operator=(const SharedInspect&) = delete;

  // Once. The key and the fields of the request must stay until the end.
  void inspect(SharedAccess access, const Key& key, const http::FieldList& request);
  const SharedFinding& finding() const noexcept { return finding_; }

 protected:
  ~SharedInspect() = default;

 private:
  virtual void on_inspect_end() noexcept = 0;

  enum class Step : uint8_t { idle, state, hash, expiry, body, ended };

  void on_reply(const redis::Reply& reply) noexcept override;
  void on_failed(redis::Fault fault, std::string_view text) noexcept override;
  void on_timer() noexcept;

  void command(Step step, redis::Args args);
  void ask_for_body();
  void on_hash(const redis::Reply& reply);
  void on_body(int64_t chunks);
  void end(SharedFinding::Answer answer);
  const SharedServer& server() const noexcept { return access_.tier->server(access_.index); }

  loop::Loop& loop_;
  const Cache& cache_;
  SharedAccess access_;
  const Key* key_ = nullptr;
  const http::FieldList* request_ = nullptr;
  Step step_ = Step::idle;
  loop::Timer timer_;
  SharedStamp state_;
  struct Body {
    size_t variant;
    uint64_t id;
  };
  std::vector<Body> bodies_;  // that stand in chunks, and are still to be asked for
  SharedFinding finding_;
};

}  // namespace sluice::cache
