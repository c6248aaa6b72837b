// The admin API's listener on the control loop: where it is, who may open it, and its connections.
//
// Owner: control, whose thread it is. It counts into a block of its own: /metrics tells of the
// traffic of clients, not of who looks at it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sluice/config/config.h"
#include "sluice/downstream/listener.h"
#include "sluice/loop/loop.h"
#include "sluice/proxy/handler.h"
#include "sluice/proxy/site.h"
#include "sluice/server/sockets.h"
#include "sluice/stats/collect.h"
#include "sluice/upstream/connection_pool.h"

namespace sluice::server {

class AdminDoor {
 public:
  AdminDoor(loop::Loop& loop, proxy::Handler& api, stats::NameTable& names);
  ~AdminDoor();
  AdminDoor(const AdminDoor&) = delete;
  AdminDoor& operator=(const AdminDoor&) = delete;

  // Listens there and drains the listener before it, if any. nullopt: at the first place of the
  // contract's list that can be had. Returns "" or the problem, and then nothing changed.
  std::string open(const std::optional<config::BindAddress>& bind, PassedSockets& passed);
  // Closes all connections; the loop has to turn once more before this is destroyed.
  void close();
  // "unix:/run/sluice/admin.sock", "" when it is not open.
  std::string text() const { return sockets_ == nullptr ? std::string() : sockets_->text(); }

 private:
  void take(std::shared_ptr<Sockets> sockets);

  stats::Block block_;
  upstream::ConnectionPool pool_;
  proxy::WorkerKit kit_;
  proxy::Site site_;
  std::shared_ptr<downstream::ListenerShared> shared_;
  std::shared_ptr<Sockets> sockets_;
  std::unique_ptr<downstream::Listener> listener_;
  std::vector<std::unique_ptr<downstream::Listener>> leaving_;
};

// Whether others than this host can reach it.
bool is_public(const config::BindAddress& bind) noexcept;

// A folder for a socket that only its user may enter: made with mode 0700 if it is missing; "" or
// why it cannot be trusted (a link, another user's, writable by others).
std::string claim_private_folder(const std::string& folder);

}  // namespace sluice::server
