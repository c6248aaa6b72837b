// What an exchange tells when it is over, or when the program dies in the middle of it.
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "sluice/proxy/exchange.h"

namespace sluice::proxy {
namespace {

constexpr int kStatusClientClosed = 499;  // for the log only: it left before its answer began

}  // namespace

// Counters and the one line of the access log.
void Exchange::account(const ClientInfo& client) noexcept {
  WorkerKit& kit = site_.kit();
  if (is_fetch_) return;  // its asker tells of it
  if (status_ == 0) status_ = kStatusClientClosed;
  Duration total = kit.loop.read_clock() - begin_;
  kit.counters.add(stats::Counter::requests);
  if (error_) kit.counters.add_error(error_.code());
  stats::RequestKey key;
  key.listener = client.listener_id;
  key.route = route_ != nullptr ? route_->id : 0;
  key.pool = route_ != nullptr && route_->pool != nullptr ? route_->pool->id() : 0;
  key.endpoint = last_endpoint_id_;
  key.code = static_cast<uint16_t>(status_);
  kit.requests.record(key, total, stats::cache_result(cache_word_));
  if (kit.access_log == nullptr) return;
  AccessRecord record;
  record.ts = wall_now() - std::chrono::duration_cast<WallTime::duration>(total);
  record.id = request_id_;
  record.client = client.ip;
  record.method = head_.method_text;
  record.host = head_.authority;
  record.path = head_.target;
  record.status = status_;
  record.reason = error_.token();
  record.bytes_in = bytes_in_;
  record.bytes_out = bytes_out_;
  record.total = total;
  record.connect = connect_time_;
  record.first_byte = first_byte_time_;
  record.queue = queue_time_;
  if (route_ != nullptr) record.route = route_->route->name;
  if (route_ != nullptr && route_->pool != nullptr) record.pool = route_->pool->name();
  record.endpoint = last_endpoint_;
  record.attempts = attempts_;
  record.cache = cache_word_;
  record.protocol = head_.minor_version == 0 ? "HTTP/1.0" : client.protocol;
  if (const http::Field* f = head_.fields.find(http::FieldId::kReferer)) record.referer = f->value;
  if (const http::Field* f = head_.fields.find(http::FieldId::kUserAgent))
    record.user_agent = f->value;
  kit.access_log->write(record);
}

void Exchange::print_crash(int fd, const void* exchange) noexcept {
  const auto* self = static_cast<const Exchange*>(exchange);
  char text[512];
  int size = std::snprintf(
      text, sizeof text, "exchange: step %s, worker %u, %.*s %.*s, endpoint %.*s, attempt %u\n",
      to_string(self->step_).data(), self->site_.kit().index,
      static_cast<int>(std::min<size_t>(self->head_.method_text.size(), 32)),
      self->head_.method_text.data(),
      static_cast<int>(std::min<size_t>(self->head_.target.size(), 256)), self->head_.target.data(),
      static_cast<int>(std::min<size_t>(self->last_endpoint_.size(), 64)),
      self->last_endpoint_.data(), self->attempts_);
  if (size > 0 && write(fd, text, std::min<size_t>(static_cast<size_t>(size), sizeof text)) < 0)
    return;
}

}  // namespace sluice::proxy
