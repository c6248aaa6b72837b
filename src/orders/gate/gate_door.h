// Whether the gate may be asked, and who sees to it that there is one.
//
//   kAway   --Redis answers, a gate is there--> kOpen      --none--> kClosed
//   kOpen   --a call fails--> kAway            --a reply says so--> kClosed
//   kClosed --built, by us or by another--> kOpen           --a call fails--> kAway
// A gate that was built on another server (a restart, a failover) is closed by the look that each
// connection begins with. Owner: the gated store; thread: its loop's.
#pragma once

#include <functional>
#include <string>

#include "gate_builder.h"
#include "gate_link.h"
#include "sluice/loop/timer.h"

namespace sluice::orders {

class GateDoor {
 public:
  enum class State : uint8_t { kAway, kClosed, kOpen };

  GateDoor(GateLink& link, ShopStore& store, std::string owner);
  GateDoor(const GateDoor&) = delete;
  GateDoor& operator=(const GateDoor&) = delete;

  // Called when it opens, with a new epoch or the one before. Set once, before start().
  void on_open(std::function<void(bool is_new)> told) { told_ = std::move(told); }
  void start();

  State state() const noexcept { return state_; }
  bool is_open() const noexcept { return state_ == State::kOpen; }
  // Of the gate that is open, or was last.
  const std::string& epoch() const noexcept { return epoch_; }
  uint64_t built() const noexcept { return built_; }

  // What a reply to anybody's call said.
  void on_fault();
  void on_closed();
  void on_broken();
  void on_epoch(const std::string& epoch);

 private:
  void look();
  void on_looked(const GateReply& reply);
  void build(const std::string& replaced);
  void on_timer() noexcept { look(); }

  GateLink& link_;
  GateBuilder builder_;
  State state_ = State::kAway;
  std::string epoch_;
  uint64_t built_ = 0;
  std::function<void(bool)> told_;
  loop::Timer timer_;
  bool is_looking_ = false;
};

std::string_view to_string(GateDoor::State state) noexcept;

}  // namespace sluice::orders
