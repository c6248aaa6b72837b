#include "sluice/downstream/listener.h"

#include <unistd.h>

#include "sluice/base/log.h"
#include "sluice/downstream/handshake.h"

namespace sluice::downstream {
namespace {

constexpr Duration kPause = std::chrono::milliseconds(20);

}  // namespace

bool ListenerShared::try_enter(const SocketAddress& peer, const config::Limits& limits) noexcept {
  uint32_t before = connections_.fetch_add(1, std::memory_order_relaxed);
  bool is_full = limits.connections != 0 && before >= limits.connections;
  if (!is_full && limits.per_address != 0) {
    std::lock_guard lock(mutex_);
    uint32_t& count = by_address_[peer.ip()];
    is_full = count >= limits.per_address;
    if (!is_full) ++count;
  }
  if (is_full) connections_.fetch_sub(1, std::memory_order_relaxed);
  if (!is_full && ceiling_ != nullptr) ceiling_->enter();
  return !is_full;
}

void ListenerShared::leave(const SocketAddress& peer, bool counted_by_address) noexcept {
  connections_.fetch_sub(1, std::memory_order_relaxed);
  if (ceiling_ != nullptr) ceiling_->leave();
  if (!counted_by_address) return;
  std::lock_guard lock(mutex_);
  auto found = by_address_.find(peer.ip());
  SL_CHECK(found != by_address_.end() && found->second > 0);
  if (--found->second == 0) by_address_.erase(found);
}

Listener::Listener(proxy::WorkerKit& kit, proxy::Site& site, config::Listener configured,
                   std::shared_ptr<ListenerShared> shared, int fd)
    : kit_(kit),
      site_(&site),
      config_(std::move(configured)),
      shared_(std::move(shared)),
      acceptor_(std::make_unique<loop::Acceptor>(kit.loop, fd, this)),
      pause_(loop::Timer::make<&Listener::on_pause_over>(kit.loop, this)) {}

Listener::~Listener() { SL_CHECK(open_ == 0); }

void Listener::configure(config::Listener configured) { config_ = std::move(configured); }

// Connections
// --------------------------------------------------------------------------------------

void Listener::on_accept(int fd, const SocketAddress& peer) noexcept {
  if (!hand_over_ || !hand_over_(fd, peer)) adopt(fd, peer);
  if (shared_->is_full()) pause_accepting();
}

// Near the limit of open files: what is connected goes on, the rest waits in the kernel's queue.
void Listener::pause_accepting() noexcept {
  kit_.counters.add(stats::Counter::accept_pauses);
  static LogLimiter limiter;
  log_limited(limiter, LogLevel::warn, "listener",
              "{}: accepting pauses at {} connections, all that the limit of open files allows; "
              "raise LimitNOFILE (ulimit -n)",
              shared_->name(), shared_->ceiling());
  acceptor_->pause();
  pause_.set_after(kPause);
}

void Listener::on_pause_over() noexcept {
  if (shared_->is_full()) return pause_.set_after(kPause);
  acceptor_->resume();
}

void Listener::adopt(int fd, const SocketAddress& peer) noexcept {
  if (!shared_->try_enter(peer, config_.limits)) return refuse(fd, peer);
  kit_.counters.add(stats::Counter::connections_accepted);
  bool counted_by_address = config_.limits.per_address != 0;
  Connection* connection = open_connection(*this, fd, peer, counted_by_address);
  if (connection == nullptr) {
    kit_.counters.add(stats::Counter::accept_errors);
    shared_->leave(peer, counted_by_address);
    return;
  }
  kit_.counters.add(stats::Counter::connections_open);
  ++open_;
  connections_.push_back(*connection);
}

// A limit is reached: one short answer, as far as the socket takes it at once, and the end.
void Listener::refuse(int fd, const SocketAddress& peer) noexcept {
  static constexpr std::string_view kAnswer =
      "HTTP/1.1 503 Service Unavailable\r\n"
      "Proxy-Status: sluice; error=connection_limit_reached; details=\"too_many_connections\"\r\n"
      "Retry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
  kit_.counters.add(stats::Counter::connections_refused);
  kit_.counters.add_error(Errc::kTooManyConnections);
  static LogLimiter limiter;
  log_limited(limiter, LogLevel::warn, "listener",
              "{}: connection from {} refused: too_many_connections", shared_->name(), peer.ip());
  if (write(fd, kAnswer.data(), kAnswer.size()) > 0) shutdown(fd, SHUT_WR);
  ::close(fd);
}

void Listener::on_accept_error(Error error) noexcept {
  kit_.counters.add(stats::Counter::accept_errors);
  static LogLimiter limiter;
  log_limited(limiter, LogLevel::warn, "listener", "{}: accept failed: {} (errno {}); waiting",
              shared_->name(), error.text(), error.sys());
}

void Listener::forget(Connection& connection, const SocketAddress& peer, bool counted_by_address,
                      CloseReason reason) noexcept {
  static_cast<ListNode<Connection>&>(connection).unlink();
  kit_.counters.subtract(stats::Counter::connections_open);
  kit_.counters.add_close(stats::Side::downstream, reason);
  shared_->leave(peer, counted_by_address);
  SL_CHECK(open_ > 0);
  --open_;
  if (draining_ && open_ == 0 && on_empty_) on_empty_();
}

// The end -----------------------------------------------------------------------------------------

void Listener::drain() {
  if (draining_) return;
  pause_.cancel();
  acceptor_->drain_and_close();
  draining_ = true;
  for (Connection *each = connections_.front(), *next = nullptr; each != nullptr; each = next) {
    next = connections_.next(*each);
    each->drain();
  }
  if (open_ == 0 && on_empty_) on_empty_();
}

void Listener::close_all(CloseReason reason) noexcept {
  while (Connection* connection = connections_.front()) connection->close_now(reason);
}

bool Listener::is_trusted(const SocketAddress& peer) const noexcept {
  if (config_.trusted_proxies.empty() || peer.is_unix()) return false;
  auto bytes = ip16(peer);
  for (const config::Cidr& range : config_.trusted_proxies) {
    if (range.contains(bytes)) return true;
  }
  return false;
}

}  // namespace sluice::downstream
