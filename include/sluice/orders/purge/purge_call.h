// One POST to the admin API of a sluice, over a connection of its own.
//
// Owner: a Purger; thread: the loop. `done` comes once, at the latest after kPatience, never inside
// the constructor, and not after the call was destroyed: "" when sluice has said 200, or why it has
// not. Who destroys it inside `done` buries it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/base/address.h"
#include "sluice/loop/loop.h"
#include "sluice/loop/resolver.h"
#include "sluice/loop/tcp.h"
#include "sluice/loop/timer.h"
#include "sluice/orders/purge/purge_target.h"

namespace sluice::orders {

class PurgeCall final : public loop::Buried, loop::ConnectEvents, loop::StreamEvents {
 public:
  using Done = std::function<void(std::string problem)>;
  static constexpr Duration kPatience = std::chrono::seconds(2);

  PurgeCall(loop::Loop& loop, const PurgeTarget& target, std::string body, Done done);

 private:
  void connect_next();
  void finish(std::string problem);
  void on_resolved(Result<std::vector<SocketAddress>> found);
  void on_deadline() noexcept { finish("no answer in time"); }

  void on_connected(std::unique_ptr<loop::Stream> stream) noexcept override;
  void on_connect_failed(Error error) noexcept override;
  void on_read(Slice bytes) noexcept override;
  void on_eof() noexcept override { finish("no answer before the connection ended"); }
  void on_drained() noexcept override {}
  void on_broken(Error error) noexcept override { finish(error.text()); }

  loop::Loop& loop_;
  std::string body_;
  Done done_;
  std::vector<SocketAddress> addresses_;
  size_t next_ = 0;  // of the addresses
  std::string said_;
  std::unique_ptr<loop::Lookup> lookup_;
  std::unique_ptr<loop::Connect> connect_;
  std::unique_ptr<loop::Stream> stream_;
  loop::Timer timer_;
};

// The status of a response that begins so; 0: not yet known, -1: it is none. Pure.
int status_in(std::string_view bytes) noexcept;

}  // namespace sluice::orders
