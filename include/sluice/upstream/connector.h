// Making one connection to an endpoint: over its addresses in turn, within one deadline.
//
// An address that does not answer gets its part of the time left, so that the next ones have
// theirs. A name that was never resolved is looked up here. Thread: the worker's. The Acquire in
// the exchange's hand is the owner; when it goes, the work under it is given up and buried.
#pragma once

#include <memory>
#include <vector>

#include "sluice/loop/loop.h"
#include "sluice/loop/resolver.h"
#include "sluice/loop/tcp.h"
#include "sluice/loop/timer.h"
#include "sluice/stats/counters.h"
#include "sluice/upstream/connection_pool.h"
#include "sluice/upstream/endpoint.h"

namespace sluice::upstream {

// Makes an exchange's stream of a connected one.
class StreamMaker {
 public:
  virtual UpstreamStream* make_stream(std::unique_ptr<loop::Stream> stream,
                                      std::shared_ptr<Endpoint> endpoint,
                                      Duration idle_timeout) = 0;

 protected:
  ~StreamMaker() = default;
};

class Connector final : public loop::Buried, private loop::ConnectEvents {
 public:
  struct Parts {
    loop::Loop& loop;
    stats::Counters& counters;
    StreamMaker& maker;
    std::shared_ptr<Endpoint> endpoint;
    const config::PoolTimeouts& timeouts;
    AcquireListener* listener;
  };
  static std::unique_ptr<Acquire> start(Parts parts);

 private:
  class Handle;

  explicit Connector(Parts parts);
  void begin();
  void look_up();
  void try_next();
  void give_up() noexcept;
  void fail(Error error) noexcept;
  void on_connected(std::unique_ptr<loop::Stream> stream) noexcept override;
  void on_connect_failed(Error error) noexcept override;
  void on_deadline() noexcept;

  loop::Loop& loop_;
  stats::Counters& counters_;
  StreamMaker& maker_;
  std::shared_ptr<Endpoint> endpoint_;
  AcquireListener* listener_;  // nullptr: it was told, or gave up
  Duration idle_timeout_;
  TimePoint began_;
  TimePoint deadline_;
  std::vector<SocketAddress> addresses_;
  size_t next_ = 0;
  std::unique_ptr<loop::Lookup> lookup_;
  std::unique_ptr<loop::Connect> connect_;
  loop::Timer timer_;
};

}  // namespace sluice::upstream
