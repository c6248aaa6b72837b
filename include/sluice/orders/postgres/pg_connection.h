// One connection to PostgreSQL on the loop, which comes back by itself: look-up, libpq's handshake,
// then batches of statements, each sent in one go (pipeline mode) and answered with one sync.
//
// Owner: a PgPool, or a test. Thread: its loop's.
//   kOff --start()--> kConnecting --greeted--> kReady <--run(), answered--> kBusy
//   kConnecting, kReady, kBusy --lost, late, refused--> kWaiting (back-off) --> kConnecting
// The statements of a batch are one transaction, unless they begin and commit themselves. A batch
// that is late costs the connection: what the server still does is ended there by its
// statement_timeout.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/base/random.h"
#include "sluice/loop/loop.h"
#include "sluice/loop/poll.h"
#include "sluice/loop/resolver.h"
#include "sluice/loop/timer.h"
#include "sluice/orders/postgres/pg_result.h"
#include "sluice/orders/postgres/pg_url.h"

namespace sluice::orders {

class PgConnection;

// None is called inside a call on the connection, nor may they destroy it.
class PgEvents {
 public:
  // It is ready: after the handshake, and after each batch (before that is answered).
  virtual void on_pg_ready(PgConnection& connection) noexcept = 0;
  // It was ready or busy and is lost, or an attempt has failed. A batch is answered after that.
  virtual void on_pg_lost(PgConnection& connection, std::string_view why) noexcept = 0;

 protected:
  ~PgEvents() = default;
};

class PgConnection {
 public:
  using Done = std::function<void(PgReply)>;
  enum class State : uint8_t { kOff, kConnecting, kReady, kBusy, kWaiting };

  static constexpr Duration kHandshake = std::chrono::seconds(2);
  static constexpr Duration kFirstPause = std::chrono::milliseconds(20);
  static constexpr Duration kLongestPause = std::chrono::seconds(1);

  PgConnection(loop::Loop& loop, const PgAddress& address, PgEvents& events);
  ~PgConnection();
  PgConnection(const PgConnection&) = delete;
  PgConnection& operator=(const PgConnection&) = delete;

  void start();
  // While ready. `done` comes once, later, unless the connection is destroyed first.
  void run(const PgSteps& steps, TimePoint deadline, Done done);

  State state() const noexcept { return state_; }
  bool is_up() const noexcept { return state_ == State::kReady || state_ == State::kBusy; }

 private:
  struct Finish {
    void operator()(PGconn* conn) const noexcept { PQfinish(conn); }
  };

  void connect();
  void look_up();
  void begin(const std::string& addresses);
  void add_defaults(std::vector<std::pair<std::string, std::string>>& options) const;
  void step_handshake() noexcept;
  void become_ready() noexcept;
  bool send(const PgSteps& steps);
  bool send(const PgStep& step);
  void flush() noexcept;
  void on_io() noexcept;
  void read_results() noexcept;
  void take(PGresult* result) noexcept;
  void note_failure(const PGresult* result);
  void roll_back() noexcept;
  void finish() noexcept;
  void on_timer() noexcept;
  void lose(PgFault fault, std::string_view why) noexcept;
  void watch(bool writable) noexcept;
  std::string last_message() const;
  std::string clean(std::string_view text) const;
  static void on_notice(void* owner, const PGresult* notice) noexcept;

  loop::Loop& loop_;
  const PgAddress& address_;
  PgEvents& events_;
  State state_ = State::kOff;
  std::unique_ptr<loop::Lookup> lookup_;
  std::unique_ptr<PGconn, Finish> conn_;
  std::unique_ptr<loop::Poll> poll_;  // dies before conn_ and its descriptor
  loop::Timer timer_;                 // of handshake, batch or back-off
  uint32_t failures_ = 0;             // in a row
  Random random_;

  // The batch under way.
  struct Sent {
    const PgStatement* statement;
    bool is_preparation;
  };
  std::vector<Sent> sent_;
  size_t answered_ = 0;    // how many of sent_
  bool is_fatal_ = false;  // the server said that it closes
  PgReply reply_;
  Done done_;
  std::set<std::string_view> prepared_;  // of this connection
};

}  // namespace sluice::orders
