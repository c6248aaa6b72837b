// One look into the shared tier, as the machine behind SharedLook.
//
// Owner: a SharedLook. Thread: the worker's loop. While it is pending, or has a lease, it hangs in
// the list of its link.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "shared_link.h"
#include "shared_read.h"
#include "sluice/base/arena.h"
#include "sluice/cache/store_redis.h"
#include "sluice/loop/timer.h"
#include "sluice/redis/client.h"

namespace sluice::cache {

//   over --begin()--> asking --the record is an index--> body
//   asking, body --not enough--> leasing --another has it--> waiting --a pause--> asking
//   any --enough, no use, no time, cancel(), stop()--> over
// After a pause the lease is asked for first and then what is there, in one write: who gets it
// sees all that the one before has written.
struct SharedLook::State final : public LinkUser {
 public:
  explicit State(SharedLook& owner) noexcept : owner_(owner) {}

  void begin(SharedLink& link, const Question& question);
  void cancel() noexcept;
  void release() noexcept;
  bool is_pending() const noexcept { return step_ != Step::over; }

 private:
  enum class Step : uint8_t { over, asking, body, leasing, waiting };
  enum class Part : uint8_t { state, hash, chunk, lease };

  // One command, told apart by what it asks for.
  class Ask final : public redis::Call {
   public:
    Ask() noexcept = default;
    Ask(State& state, Part part) noexcept : state_(&state), part_(part) {}
    void belong_to(State& state) noexcept { state_ = &state; }

   private:
    void on_reply(const redis::Reply& reply) noexcept override { state_->on_reply(part_, reply); }
    void on_failed(redis::Fault fault, std::string_view) noexcept override {
      state_->on_failed(part_, fault);
    }
    State* state_ = nullptr;
    Part part_ = Part::chunk;
  };

  void ask(TimePoint deadline);
  void on_reply(Part part, const redis::Reply& reply) noexcept;
  void on_failed(Part part, redis::Fault fault) noexcept;
  void on_hash(const redis::Reply& reply);
  void delete_fields(std::span<const std::string_view> fields);
  void on_broken_chunk();
  void on_record();
  void ask_for_body();
  void on_chunk(const redis::Reply& reply);
  void make_entry();
  void on_read(SharedMiss why) noexcept;
  void ask_for_lease();
  void on_lease(const redis::Reply& reply) noexcept;
  void wait() noexcept;
  void drop_lease() noexcept;
  void on_timer() noexcept;
  void on_link_stop() noexcept override;
  void on_link_gone() noexcept override;
  void stop_asking() noexcept;
  void forget_reading() noexcept;
  void let_go() noexcept;
  void end() noexcept;

  SharedLook& owner_;
  SharedLink* link_ = nullptr;
  Step step_ = Step::over;
  std::string key_text_;
  Key key_;
  std::string name_;  // of its hash
  const http::FieldList* request_ = nullptr;
  bool may_wait_ = false;
  bool may_lease_ = false;
  bool is_first_ = true;  // the first reading, not one after a pause
  TimePoint began_{};
  TimePoint deadline_{};  // of this reading
  TimePoint wait_end_{};
  Duration pause_{};
  std::string token_;  // of the lease that is asked for, or there
  Result result_;

  // What this reading has brought.
  SharedStamp state_;
  std::optional<Arena> arena_;
  SharedRecord record_;
  uint64_t started_ = 0;
  Ref<Body> body_;
  TimePoint body_began_{};
  size_t chunks_ = 0;
  size_t next_chunk_ = 0;

  Ask ask_state_{*this, Part::state};
  Ask ask_hash_{*this, Part::hash};
  Ask ask_lease_{*this, Part::lease};
  std::unique_ptr<Ask[]> ask_chunks_;
  std::optional<loop::Timer> timer_;
};

}  // namespace sluice::cache
