// One probe of one address: connect, and for HTTP ask and judge the answer. Repeatable.
//
// Owner: an EndpointWatch, which may destroy it at any time but inside on_probed(). Thread:
// control.
#pragma once

#include <memory>
#include <string>

#include "sluice/base/address.h"
#include "sluice/base/arena.h"
#include "sluice/base/clock.h"
#include "sluice/base/error.h"
#include "sluice/config/config.h"
#include "sluice/loop/loop.h"
#include "sluice/loop/stream.h"
#include "sluice/loop/tcp.h"
#include "sluice/loop/timer.h"
#include "sluice/upstream/response_reader.h"

namespace sluice::upstream {

inline constexpr size_t kMostProbedBody = 64 * 1024;  // where the text of `body` is looked for

struct ProbeResult {
  enum class Verdict : uint8_t {
    good,
    bad,
    unknown  // sluice itself could not probe (no descriptors): says nothing about the endpoint
  };
  Verdict verdict = Verdict::bad;
  std::string text;  // "200 in 1.2 ms", "connection refused"
};

class Probe;

// Once for each start(), never inside it.
class ProbeListener {
 public:
  virtual void on_probed(Probe& probe, ProbeResult result) noexcept = 0;

 protected:
  ~ProbeListener() = default;
};

class Probe final : private loop::ConnectEvents, private loop::StreamEvents {
 public:
  // `check` must outlive it. `host`: the Host to send.
  Probe(loop::Loop& loop, const config::Health& check, std::string host, SocketAddress address,
        ProbeListener* listener);
  ~Probe();

  void start();
  const SocketAddress& address() const noexcept { return address_; }

 private:
  void on_connected(std::unique_ptr<loop::Stream> stream) noexcept override;
  void on_connect_failed(Error error) noexcept override;
  void on_read(Slice bytes) noexcept override;
  void on_eof() noexcept override { on_end(0); }
  void on_drained() noexcept override {}
  void on_broken(Error error) noexcept override;
  void on_timeout() noexcept;
  void on_end(int sys) noexcept;
  void ask();
  void judge();
  void judge_body();
  void finish(ProbeResult::Verdict verdict, std::string text) noexcept;
  std::string in_time() const;

  loop::Loop& loop_;
  const config::Health& check_;
  const std::string host_;
  const SocketAddress address_;
  ProbeListener* listener_;
  loop::Timer timer_;
  TimePoint began_{};
  bool is_busy_ = false;
  std::unique_ptr<loop::Connect> connect_;
  std::unique_ptr<loop::Stream> stream_;
  Arena arena_;
  ResponseReader reader_;
  std::string body_;  // what has come, when it matters
};

// "connection refused", "no route to host": what befell, in small letters.
std::string describe(Error error);

}  // namespace sluice::upstream
