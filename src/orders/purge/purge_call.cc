#include "sluice/orders/purge/purge_call.h"

#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "sluice/base/chain.h"
#include "sluice/base/strings.h"

namespace sluice::orders {

PurgeCall::PurgeCall(loop::Loop& loop, const PurgeTarget& target, std::string body, Done done)
    : loop_(loop),
      body_(std::move(body)),
      done_(std::move(done)),
      timer_(loop::Timer::make<&PurgeCall::on_deadline>(loop, this)) {
  timer_.set_after(kPatience);
  if (target.path.empty()) {
    lookup_ = loop::resolve(loop, target.host, target.port,
                            [this](auto found) { on_resolved(std::move(found)); });
  } else {
    addresses_.push_back(*SocketAddress::from_path(target.path));
    connect_next();
  }
}

void PurgeCall::on_resolved(Result<std::vector<SocketAddress>> found) {
  if (!found) return finish(found.error().text());
  addresses_ = *std::move(found);
  if (addresses_.empty()) return finish("the name has no address");
  connect_next();
}

void PurgeCall::connect_next() { connect_ = loop::connect(loop_, addresses_[next_++], this); }

void PurgeCall::on_connect_failed(Error error) noexcept {
  if (next_ < addresses_.size()) return connect_next();
  finish(error.sys() != 0 ? std::strerror(error.sys()) : error.text());
}

// The admin API answers to no name but localhost, so that no web page can ask it (DNS rebinding).
void PurgeCall::on_connected(std::unique_ptr<loop::Stream> stream) noexcept {
  stream_ = std::move(stream);
  stream_->start(this);
  const SocketAddress& address = addresses_[next_ - 1];
  const std::string request = fmt::format(
      "POST /api/v1/purge HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n"
      "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{}",
      address.is_unix() ? "localhost" : address.to_string(), body_.size(), body_);
  Chain bytes;
  ChainWriter(loop_.chunks(), bytes).write(request);
  stream_->write(std::move(bytes));
}

// What is purged is purged when the answer comes; only its status is of interest.
void PurgeCall::on_read(Slice bytes) noexcept {
  said_ += bytes.view();
  const int status = status_in(said_);
  if (status == 0) return;
  if (status < 0) return finish("what answers there does not speak HTTP");
  finish(status == 200 ? "" : fmt::format("it answered {}", status));
}

void PurgeCall::finish(std::string problem) {
  timer_.cancel();
  connect_.reset();
  if (stream_) stream_->close(CloseReason::kDone);
  if (done_) std::exchange(done_, nullptr)(std::move(problem));
}

int status_in(std::string_view bytes) noexcept {
  constexpr std::string_view kBegin = "HTTP/1.";
  constexpr size_t kSize = std::string_view("HTTP/1.1 200").size();
  const std::string_view begin = bytes.substr(0, kBegin.size());
  if (!kBegin.starts_with(begin)) return -1;
  if (bytes.size() < kSize) return 0;
  const auto status = parse_decimal(bytes.substr(kSize - 3, 3));
  return status ? static_cast<int>(*status) : -1;
}

}  // namespace sluice::orders
