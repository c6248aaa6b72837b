// One connection to a Redis server that comes back by itself: resolve, connect, AUTH, SELECT,
// CLIENT SETNAME, then replies; what is sent and what a reply answers is its user's affair.
//
// Owner: a Client or a Subscriber, as a member. Thread: its loop's.
//   kOff --start()--> kConnecting --greeted--> kReady --lost, drop()--> kWaiting (back-off)
//                     kConnecting --failed, too late--> kWaiting --> kConnecting
//   any --stop()--> kOff
// The back-off grows with each failure and begins anew after a connection that lived a while.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/base/random.h"
#include "sluice/loop/loop.h"
#include "sluice/loop/resolver.h"
#include "sluice/loop/stream.h"
#include "sluice/loop/tcp.h"
#include "sluice/loop/timer.h"
#include "sluice/redis/address.h"
#include "sluice/redis/command.h"
#include "sluice/redis/resp.h"

namespace sluice::redis {

struct LinkOptions {
  Address address;
  Duration handshake =
      std::chrono::seconds(1);  // from the look-up to the last answer to a greeting
  Duration first_pause = std::chrono::milliseconds(50);  // before connecting again
  Duration longest_pause = std::chrono::seconds(2);
  RespLimits limits;
};

// None is called inside a call on the Link. Inside them the Link may be stopped and dropped, but
// not destroyed.
class LinkEvents {
 public:
  virtual void on_link_ready() noexcept = 0;
  // Only while ready; the reply is valid inside the call.
  virtual void on_link_reply(const Reply& reply) noexcept = 0;
  // It was ready and is lost, or an attempt has failed. Not after drop() or stop().
  virtual void on_link_lost(std::string_view why, bool was_ready) noexcept = 0;

 protected:
  ~LinkEvents() = default;
};

struct LinkStats {
  uint64_t connects = 0;  // that became ready
  uint64_t failed_connects = 0;
  uint64_t losses = 0;  // of ready ones
  uint64_t bytes_in = 0;
  uint64_t bytes_out = 0;
};

class Link final : private loop::ConnectEvents, private loop::StreamEvents {
 public:
  enum class State : uint8_t { kOff, kConnecting, kReady, kWaiting };

  Link(loop::Loop& loop, LinkOptions options, LinkEvents& events);
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  void start();
  void stop() noexcept;
  // Gives this connection up and makes another by the back-off.
  void drop() noexcept;
  // While ready.
  void send(Chain&& bytes) noexcept;

  State state() const noexcept { return state_; }
  bool is_ready() const noexcept { return state_ == State::kReady; }
  size_t pending() const noexcept { return stream_ != nullptr ? stream_->pending() : 0; }
  TimePoint heard_at() const noexcept { return heard_at_; }  // when bytes last came
  const LinkStats& stats() const noexcept { return stats_; }
  const Address& address() const noexcept { return options_.address; }

 private:
  enum class Greeting : uint8_t { kAuth, kSelect, kName };

  void begin();
  void look_up();
  void try_next();
  void on_connected(std::unique_ptr<loop::Stream> stream) noexcept override;
  void on_connect_failed(Error error) noexcept override;
  void greet();
  void on_greeted(const Reply& reply) noexcept;
  void become_ready() noexcept;
  void on_read(Slice bytes) noexcept override;
  void on_eof() noexcept override;
  void on_drained() noexcept override {}
  void on_broken(Error error) noexcept override;
  void on_timer() noexcept;
  void fail(std::string_view why) noexcept;
  void let_go(CloseReason reason) noexcept;
  void wait_a_while() noexcept;

  loop::Loop& loop_;
  LinkOptions options_;
  LinkEvents& events_;
  State state_ = State::kOff;
  std::vector<SocketAddress> addresses_;  // of this attempt
  size_t next_ = 0;
  std::unique_ptr<loop::Lookup> lookup_;
  std::unique_ptr<loop::Connect> connect_;
  std::unique_ptr<loop::Stream> stream_;
  RespReader reader_;
  std::vector<Greeting> greetings_;  // those not answered yet
  loop::Timer timer_;                // the handshake's deadline, or the end of the back-off
  TimePoint deadline_{};
  TimePoint heard_at_{};
  TimePoint ready_at_{};
  uint32_t failures_ = 0;  // in a row
  Random random_;
  LinkStats stats_;
};

}  // namespace sluice::redis
