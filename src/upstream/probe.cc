#include "sluice/upstream/probe.h"

#include <fmt/format.h>
#include <string.h>

#include <cerrno>
#include <utility>

#include "sluice/base/strings.h"
#include "sluice/base/units.h"
#include "sluice/upstream/health.h"

namespace sluice::upstream {

namespace {

using Verdict = ProbeResult::Verdict;

// Failures of our own machine, which must not take all endpoints down at once.
bool is_ours(int sys) noexcept {
  return sys == EMFILE || sys == ENFILE || sys == ENOBUFS || sys == ENOMEM || sys == EADDRNOTAVAIL;
}

std::string expected_text(const config::Health& check) {
  std::string text;
  for (const config::StatusRange& range : check.expect) {
    if (!text.empty()) text += ", ";
    text += range.from == range.to ? fmt::format("{}", range.from)
                                   : fmt::format("{}-{}", range.from, range.to);
  }
  return text;
}

}  // namespace

std::string describe(Error error) {
  const char* name = error.sys() != 0 ? strerrordesc_np(error.sys()) : nullptr;
  std::string text = name != nullptr ? name : error.text();
  if (text.empty()) text = std::string(error.token());
  text[0] = to_lower(text[0]);
  return text;
}

Probe::Probe(loop::Loop& loop, const config::Health& check, std::string host, SocketAddress address,
             ProbeListener* listener)
    : loop_(loop),
      check_(check),
      host_(std::move(host)),
      address_(address),
      listener_(listener),
      timer_(loop::Timer::make<&Probe::on_timeout>(loop, this)),
      arena_(loop.chunks()) {}

Probe::~Probe() { reader_.reset(); }

void Probe::start() {
  SL_CHECK(!is_busy_);
  is_busy_ = true;
  stream_.reset();
  body_.clear();
  began_ = monotonic_now();
  timer_.set(began_ + check_.timeout);
  connect_ = loop::connect(loop_, address_, this);
}

void Probe::on_connect_failed(Error error) noexcept {
  finish(is_ours(error.sys()) ? Verdict::unknown : Verdict::bad, describe(error));
}

void Probe::on_connected(std::unique_ptr<loop::Stream> stream) noexcept {
  stream_ = std::move(stream);
  switch (check_.type) {
    case config::Health::Type::kTcp:
    case config::Health::Type::kOff:
      return finish(Verdict::good, "connected " + in_time());
    case config::Health::Type::kHttp:
      return ask();
  }
}

void Probe::ask() {
  arena_.reset();
  reader_.begin(arena_);
  reader_.set_method(http::method_of(check_.method));
  stream_->start(this);
  Chain request;
  ChainWriter writer(loop_.chunks(), request);
  for (std::string_view part :
       {std::string_view(check_.method), std::string_view(" "), std::string_view(check_.path),
        std::string_view(" HTTP/1.1\r\nHost: "), std::string_view(host_),
        std::string_view(
            "\r\nUser-Agent: sluice-health\r\nAccept: */*\r\nConnection: close\r\n\r\n")}) {
    writer.write(part);
  }
  writer.flush();
  stream_->write(std::move(request));
}

void Probe::on_read(Slice bytes) noexcept {
  if (!is_busy_) return;
  if (Error error = reader_.feed(std::move(bytes))) {
    return finish(Verdict::bad, fmt::format("a malformed answer: {}", describe(error)));
  }
  judge();
}

void Probe::on_end(int sys) noexcept {
  if (!is_busy_) return;
  if (Error error = reader_.end(sys)) return finish(Verdict::bad, error.text());
  judge();
}

void Probe::on_broken(Error error) noexcept { on_end(error.sys() != 0 ? error.sys() : ECONNRESET); }

void Probe::judge() {
  const http::ResponseHead* head = reader_.head();
  if (head == nullptr) return;
  if (!is_expected(head->status, check_)) {
    return finish(Verdict::bad,
                  fmt::format("status {}, expected {}", head->status, expected_text(check_)));
  }
  if (!check_.body.empty()) return judge_body();
  finish(Verdict::good, fmt::format("{} {}", head->status, in_time()));
}

void Probe::judge_body() {
  Chain& came = reader_.body();
  while (!came.is_empty() && body_.size() < kMostProbedBody) {
    body_.append(came.pop_front().view());
  }
  if (body_.size() > kMostProbedBody) body_.resize(kMostProbedBody);
  if (body_.find(check_.body) != std::string::npos) {
    return finish(Verdict::good, fmt::format("{} {}", reader_.head()->status, in_time()));
  }
  if (!reader_.is_complete() && body_.size() < kMostProbedBody) return;
  finish(Verdict::bad, fmt::format("{} without \"{}\" in the body", reader_.head()->status,
                                   std::string_view(check_.body).substr(0, 64)));
}

void Probe::on_timeout() noexcept {
  if (is_busy_) {
    finish(Verdict::bad, fmt::format("timed out after {}", format_duration(check_.timeout)));
  }
}

void Probe::finish(Verdict verdict, std::string text) noexcept {
  is_busy_ = false;
  timer_.cancel();
  connect_.reset();
  reader_.reset();
  if (stream_ != nullptr) stream_->close(CloseReason::kDone);
  listener_->on_probed(*this, {verdict, std::move(text)});
}

std::string Probe::in_time() const {
  const double ms = static_cast<double>((monotonic_now() - began_).count()) / 1e6;
  return fmt::format("in {:.1f} ms", ms);
}

}  // namespace sluice::upstream
