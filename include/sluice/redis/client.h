// Commands to one Redis server over one pipelined connection, each with a deadline of its own.
//
// Owner: a worker (one a loop). Thread: its loop's. Lifetime: begins kOff; start() makes it connect
// and stay connected; stop() ends all calls. It may be destroyed at any time but inside a call back
// of its own; calls that are then pending are forgotten without a word (stop() a turn before tells
// them).
// A command that cannot go is refused at once, so that nobody waits for a server that is away:
// while there is no connection, while the breaker is open, while too much is unsent or unanswered.
// Commands of one turn leave in one write. The breaker counts failures of the server, not of
// commands: what is lost with a connection, or times out in one turn, is one.
#pragma once

#include <array>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "sluice/base/list.h"
#include "sluice/base/random.h"
#include "sluice/loop/loop.h"
#include "sluice/loop/timer.h"
#include "sluice/redis/breaker.h"
#include "sluice/redis/fault.h"
#include "sluice/redis/link.h"
#include "sluice/redis/pipeline.h"

namespace sluice::redis {

class Client;

// Who asks, and hears the end of one command at a time. Exactly one of the calls back comes, once,
// and never inside command(); from then on the Call may ask again. cancel(), or its destruction,
// forgets: the reply is then dropped when it comes.
class Call : private ListNode<Call> {
 public:
  Call() noexcept = default;
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  bool is_pending() const noexcept { return client_ != nullptr; }
  void cancel() noexcept;

 protected:
  ~Call() { cancel(); }

 private:
  friend class Client;
  friend class List<Call>;

  // Any reply but an error. Valid inside the call only.
  virtual void on_reply(const Reply& reply) noexcept = 0;
  // `text`: the server's error reply, or why there is none.
  virtual void on_failed(Fault fault, std::string_view text) noexcept = 0;

  Client* client_ = nullptr;
  uint64_t number_ = 0;  // its slot in the pipeline, unless it is linked (refused)
  Fault fault_ = Fault::kOther;
};

// Hears about the connection; removes itself by its destruction. Not inside a call on the Client.
class ClientListener : public ListNode<ClientListener> {
 public:
  // Connected, for the first time or again; commands may go from now on.
  virtual void on_client_ready() noexcept = 0;
  // The connection was lost, its commands have failed.
  virtual void on_client_lost() noexcept {}

 protected:
  ~ClientListener() = default;
};

struct ClientOptions {
  LinkOptions link;
  BreakerLimits breaker;
  // A reply is overdue and nothing came for so long: the server hangs, the connection is given up.
  Duration silence = std::chrono::milliseconds(500);
  Duration idle = std::chrono::seconds(10);  // unused for so long: PING
  size_t most_unsent = 8 * 1024 * 1024;      // bytes of commands
  size_t most_unanswered = 4096;             // commands
};

struct ClientStats {
  uint64_t commands = 0;  // asked for, also those refused
  uint64_t replies = 0;   // in time, errors included
  uint64_t late_replies = 0;
  uint64_t reconnects = 0;
  uint64_t bytes_in = 0;
  uint64_t bytes_out = 0;
  Duration latency_sum{0};  // of `replies`
  std::array<uint64_t, kFaults> faults{};

  uint64_t faults_of(Fault fault) const noexcept { return faults[static_cast<size_t>(fault)]; }
};

struct Health {
  bool is_up;  // else degraded: not connected, or the breaker is not closed
  std::string_view last_error;
  WallTime since;
};

// What a command does, for the breaker: a write refused for want of memory is no failure of the
// server.
enum class Intent : uint8_t { kRead, kWrite };

class Client final : private LinkEvents, private loop::Loop::TurnEnd {
 public:
  Client(loop::Loop& loop, ClientOptions options);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void start();
  // Pending calls end as kDisconnected at the end of this turn.
  void stop() noexcept;

  void command(Args args, Intent intent, TimePoint deadline, Call& call);
  void command(std::initializer_list<Arg> args, Intent intent, TimePoint deadline, Call& call) {
    command(Args(args.begin(), args.size()), intent, deadline, call);
  }

  void add(ClientListener& listener) noexcept { listeners_.push_back(listener); }
  bool is_ready() const noexcept { return link_.is_ready(); }
  Health health() const noexcept { return {is_up_ == true, last_error_, since_}; }
  ClientStats stats() const noexcept;
  loop::Loop& loop() noexcept { return loop_; }

 private:
  friend class Call;

  std::optional<Fault> obstacle(Args args) const noexcept;
  void refuse(Call& call, Fault fault) noexcept;
  void enqueue(Args args, const Slot& slot);
  void forget(Call& call) noexcept;
  void on_turn_end() noexcept override;
  void tell_refused() noexcept;

  void on_link_ready() noexcept override;
  void on_link_reply(const Reply& reply) noexcept override;
  void on_link_lost(std::string_view why, bool was_ready) noexcept override;
  void lose(std::string_view why) noexcept;
  bool empty_pipeline(List<Call>& calls) noexcept;
  void drop_unsent() noexcept;

  void on_timer() noexcept;
  void expire(TimePoint now) noexcept;
  TimePoint silent_since() noexcept;
  void wake_by(TimePoint time) noexcept;
  void arm(TimePoint now) noexcept;
  void ping(TimePoint now);

  void tell(Call* call, Fault fault, std::string_view text) noexcept;
  void tell_listeners(void (ClientListener::*event)() noexcept) noexcept;
  void weigh(const Slot& slot, Fault fault, std::string_view text) noexcept;
  void weigh_success(const Slot& slot) noexcept;
  void note(std::string_view error);
  void look_at_health() noexcept;

  loop::Loop& loop_;
  ClientOptions options_;
  Link link_;
  Breaker breaker_;
  Random random_;
  Pipeline pipeline_;
  size_t overdue_ = 0;  // slots in the pipeline that are
  Chain out_;           // commands of this turn
  std::optional<ChainWriter> writer_;
  size_t unsent_ = 0;  // bytes in out_ and writer_
  List<Call> refused_;
  List<ClientListener> listeners_;
  loop::Timer timer_;
  TimePoint used_at_{};  // when a command was last sent
  ClientStats stats_;
  std::string last_error_;
  std::optional<bool> is_up_;  // nullopt: not known yet
  WallTime since_ = wall_now();
};

}  // namespace sluice::redis
