#include "sluice/upstream/connector.h"

#include <utility>

namespace sluice::upstream {

class Connector::Handle final : public Acquire {
 public:
  explicit Handle(Connector* connector) noexcept : connector_(connector) {}
  ~Handle() override { connector_->give_up(); }

 private:
  Connector* connector_;
};

std::unique_ptr<Acquire> Connector::start(Parts parts) {
  auto* connector = new Connector(std::move(parts));
  auto handle = std::make_unique<Handle>(connector);
  connector->begin();
  return handle;
}

Connector::Connector(Parts parts)
    : loop_(parts.loop),
      counters_(parts.counters),
      maker_(parts.maker),
      endpoint_(std::move(parts.endpoint)),
      listener_(parts.listener),
      idle_timeout_(parts.timeouts.idle),
      began_(monotonic_now()),
      deadline_(loop_.now() + parts.timeouts.connect),
      timer_(loop::Timer::make<&Connector::on_deadline>(loop_, this)) {}

void Connector::begin() {
  addresses_ = endpoint_->connect_order();
  if (addresses_.empty()) {
    look_up();
  } else {
    try_next();
  }
}

void Connector::look_up() {
  const config::EndpointAddress& address = endpoint_->configured_address();
  timer_.set(deadline_);
  lookup_ = loop::resolve(
      loop_, address.host, address.port, [this](Result<std::vector<SocketAddress>> found) {
        if (!found || found->empty()) {
          return fail(found ? Error(Errc::kDnsFailed, "the name has no address") : found.error());
        }
        addresses_ = *std::move(found);
        try_next();
      });
}

void Connector::try_next() {
  const size_t left = addresses_.size() - next_;
  const TimePoint now = loop_.now();
  timer_.set(now + (deadline_ - now) / static_cast<int64_t>(left));
  connect_ = loop::connect(loop_, addresses_[next_++], this);
}

void Connector::on_connected(std::unique_ptr<loop::Stream> stream) noexcept {
  timer_.cancel();
  counters_.add(stats::Counter::upstream_connects);
  counters_.record(stats::Timing::upstream_connect_seconds, monotonic_now() - began_);
  UpstreamStream* made = maker_.make_stream(std::move(stream), std::move(endpoint_), idle_timeout_);
  std::exchange(listener_, nullptr)->on_acquired(made);
}

void Connector::on_connect_failed(Error error) noexcept {
  counters_.add(stats::Counter::upstream_connect_failures);
  if (next_ == addresses_.size() || loop_.now() >= deadline_) return fail(error);
  try_next();
}

// The time of one address, or of all, is over.
void Connector::on_deadline() noexcept {
  connect_.reset();
  if (next_ > 0) counters_.add(stats::Counter::upstream_connect_failures);
  if (next_ > 0 && next_ < addresses_.size() && loop_.now() < deadline_) return try_next();
  lookup_.reset();
  fail(next_ == 0 ? Error(Errc::kDnsFailed, "the look-up took longer than timeouts.connect")
                  : Error(Errc::kConnectTimeout));
}

void Connector::fail(Error error) noexcept {
  timer_.cancel();
  std::exchange(listener_, nullptr)->on_acquire_failed(error);
}

void Connector::give_up() noexcept {
  listener_ = nullptr;
  timer_.cancel();
  connect_.reset();
  lookup_.reset();
  loop_.bury(this);
}

}  // namespace sluice::upstream
