// One listener as one worker sees it: accepts, applies the limits, and owns its connections.
//
// Owner: the worker; thread: its own. It survives reloads that keep its bind address: configure()
// gives it new limits, set_site() a new snapshot, for requests that begin later. After drain() it
// lives until is_empty(). What all workers share of one listener (counts for limits) is
// ListenerShared.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "sluice/base/address.h"
#include "sluice/base/free_list.h"
#include "sluice/base/list.h"
#include "sluice/config/config.h"
#include "sluice/downstream/client_ceiling.h"
#include "sluice/downstream/connection.h"
#include "sluice/downstream/h1_active.h"
#include "sluice/loop/acceptor.h"
#include "sluice/loop/timer.h"
#include "sluice/proxy/site.h"

namespace sluice::downstream {

// Shared by all workers of one listener; survives reloads. Thread: any.
class ListenerShared {
 public:
  // Without a ceiling the limit of open files is nobody's concern here.
  ListenerShared(std::string name, uint16_t id, std::shared_ptr<ClientCeiling> ceiling = nullptr)
      : name_(std::move(name)), id_(id), ceiling_(std::move(ceiling)) {}
  const std::string& name() const noexcept { return name_; }
  uint16_t id() const noexcept { return id_; }
  uint32_t connections() const noexcept { return connections_.load(std::memory_order_relaxed); }
  // Counts a connection in, unless a limit is reached (0: off).
  bool try_enter(const SocketAddress& peer, const config::Limits& limits) noexcept;
  void leave(const SocketAddress& peer, bool counted_by_address) noexcept;
  // Nobody else should be accepted for now.
  bool is_full() const noexcept { return ceiling_ != nullptr && ceiling_->is_reached(); }
  uint64_t ceiling() const noexcept { return ceiling_ == nullptr ? 0 : ceiling_->most(); }

 private:
  std::string name_;
  uint16_t id_;
  std::shared_ptr<ClientCeiling> ceiling_;
  std::atomic<uint32_t> connections_{0};
  std::mutex mutex_;  // taken only where per_address is set
  std::unordered_map<std::string, uint32_t> by_address_;
};

class Listener final : public loop::AcceptorEvents {
 public:
  // `fd` listens already and stays the caller's (the acceptor duplicates it).
  Listener(proxy::WorkerKit& kit, proxy::Site& site, config::Listener configured,
           std::shared_ptr<ListenerShared> shared, int fd);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // For requests that begin from now on.
  void configure(config::Listener configured);
  void set_site(proxy::Site& site) noexcept { site_ = &site; }

  // Takes a connection that another worker accepted.
  void adopt(int fd, const SocketAddress& peer) noexcept;
  // Where accepted descriptors go instead of adopt(), when another worker has fewer; returns true
  // when it took the descriptor. Set by the worker; empty: never.
  void set_hand_over(std::function<bool(int fd, const SocketAddress& peer)> f) {
    hand_over_ = std::move(f);
  }

  // Accepts what the kernel has queued, stops listening, and drains every connection.
  void drain();
  void close_all(CloseReason reason) noexcept;
  bool is_empty() const noexcept { return open_ == 0; }
  uint32_t open() const noexcept { return open_; }
  // Called when the last connection of a drained listener is gone.
  void on_empty(std::function<void()> f) { on_empty_ = std::move(f); }

  // For connections.
  proxy::WorkerKit& kit() noexcept { return kit_; }
  proxy::Site& site() noexcept { return *site_; }
  const config::Listener& config() const noexcept { return config_; }
  ListenerShared& shared() noexcept { return *shared_; }
  bool is_draining() const noexcept { return draining_; }
  bool is_trusted(const SocketAddress& peer) const noexcept;
  FreeList<H1Active>& actives() noexcept { return actives_; }
  void forget(Connection& connection, const SocketAddress& peer, bool counted_by_address,
              CloseReason reason) noexcept;

  void on_accept(int fd, const SocketAddress& peer) noexcept override;
  void on_accept_error(Error error) noexcept override;

 private:
  void refuse(int fd, const SocketAddress& peer) noexcept;
  void pause_accepting() noexcept;
  void on_pause_over() noexcept;

  proxy::WorkerKit& kit_;
  proxy::Site* site_;
  config::Listener config_;
  std::shared_ptr<ListenerShared> shared_;
  std::unique_ptr<loop::Acceptor> acceptor_;
  loop::Timer pause_;  // set while accepting pauses
  std::function<bool(int, const SocketAddress&)> hand_over_;
  std::function<void()> on_empty_;
  FreeList<H1Active> actives_;
  List<Connection> connections_;
  uint32_t open_ = 0;
  bool draining_ = false;
};

}  // namespace sluice::downstream
