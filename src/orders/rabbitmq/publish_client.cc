#include "publish_client.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "amqp_topology.h"
#include "sluice/base/log.h"

namespace sluice::orders {
namespace {

constexpr size_t kBatch = 32;          // then the broker's answers are read
constexpr size_t kLongestShort = 255;  // AMQP 0-9-1, 4.2.5.3
constexpr uint8_t kPersistent = 2;

constexpr Error kLost(Errc::kSystem, "the connection to RabbitMQ broke");
constexpr Error kNacked(Errc::kSystem, "RabbitMQ refused an event (basic.nack)");
constexpr Error kReturned(Errc::kSystem, "no queue of RabbitMQ took an event (basic.return)");

std::string_view shortened(std::string_view text) noexcept { return text.substr(0, kLongestShort); }

}  // namespace

void PublishClient::push(std::vector<PublishJob> jobs) {
  std::lock_guard lock(mutex_);
  std::ranges::move(jobs, std::back_inserter(jobs_));
  depth_ = jobs_.size();
}

std::vector<PublishJob> PublishClient::take() {
  std::lock_guard lock(mutex_);
  const auto end = jobs_.begin() + static_cast<ptrdiff_t>(std::min(kBatch, jobs_.size()));
  std::vector<PublishJob> taken(std::make_move_iterator(jobs_.begin()),
                                std::make_move_iterator(end));
  jobs_.erase(jobs_.begin(), end);
  depth_ = jobs_.size();
  return taken;
}

bool PublishClient::has_more() { return !is_blocked_ && depth() > 0; }

std::string PublishClient::on_open(AmqpConnection& connection) {
  std::string problem = declare_topology(connection, shards_);
  if (!problem.empty()) return problem;
  amqp_confirm_select(connection.raw(), AmqpConnection::kChannel);
  problem = connection.answer();
  if (!problem.empty()) return problem;
  last_tag_ = 0;
  is_blocked_ = must_declare_ = false;
  returned_ = {};
  heard_.state(true);
  return {};
}

std::string PublishClient::send(AmqpConnection& connection) {
  if (std::exchange(must_declare_, false)) {
    std::string problem = declare_topology(connection, shards_);
    if (!problem.empty()) return problem;
  }
  if (is_blocked_) return {};
  std::string problem;
  const TimePoint now = monotonic_now();
  for (const PublishJob& job : take()) {
    if (job.deadline <= now) continue;  // given up, and to be published anew
    if (!problem.empty()) {
      results_.push_back({job.key, kLost});
      continue;
    }
    sent_.emplace(++last_tag_, Sent{job.key, std::string(shortened(job.event.id))});
    problem = publish(connection, job);
  }
  return problem;
}

std::string PublishClient::publish(const AmqpConnection& connection, const PublishJob& job) {
  const Event& event = job.event;
  amqp_table_entry_t trace{};
  trace.key = amqp_cstring_bytes("traceparent");
  trace.value.kind = AMQP_FIELD_KIND_UTF8;
  trace.value.value.bytes = amqp_text(event.traceparent);
  amqp_basic_properties_t properties{};
  properties._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG |
                      AMQP_BASIC_MESSAGE_ID_FLAG | AMQP_BASIC_TYPE_FLAG | AMQP_BASIC_HEADERS_FLAG;
  properties.content_type = amqp_cstring_bytes("application/json");
  properties.delivery_mode = kPersistent;
  properties.message_id = amqp_text(shortened(event.id));
  properties.type = amqp_text(shortened(event.type));
  properties.headers = {event.traceparent.empty() ? 0 : 1, &trace};
  constexpr amqp_boolean_t kMandatory = 1, kImmediate = 0;
  return AmqpConnection::status(
      amqp_basic_publish(connection.raw(), AmqpConnection::kChannel, amqp_cstring_bytes(kExchange),
                         amqp_text(routing_key(event.order_id, shards_)), kMandatory, kImmediate,
                         &properties, amqp_text(event.payload)));
}

std::string PublishClient::on_frame(const amqp_frame_t& frame) {
  if (!returned_.is_reading()) {
    return frame.frame_type == AMQP_FRAME_METHOD ? on_method(frame.payload.method)
                                                 : "a message without its beginning";
  }
  switch (returned_.add(frame)) {
    case AmqpMessageReader::Step::more:
      return {};
    case AmqpMessageReader::Step::complete:
      on_returned(returned_.take());
      return {};
    case AmqpMessageReader::Step::problem:
      break;
  }
  return "a message in disorder";
}

std::string PublishClient::on_method(const amqp_method_t& method) {
  if (method.id == AMQP_BASIC_ACK_METHOD) {
    const auto* ack = static_cast<const amqp_basic_ack_t*>(method.decoded);
    confirm(ack->delivery_tag, ack->multiple != 0, {});
  } else if (method.id == AMQP_BASIC_NACK_METHOD) {
    const auto* nack = static_cast<const amqp_basic_nack_t*>(method.decoded);
    confirm(nack->delivery_tag, nack->multiple != 0, kNacked);
  } else if (method.id == AMQP_BASIC_RETURN_METHOD) {
    returned_.begin();
  } else if (method.id == AMQP_CONNECTION_BLOCKED_METHOD) {
    const auto* blocked = static_cast<const amqp_connection_blocked_t*>(method.decoded);
    set_blocked(true, text_of(blocked->reason));
  } else if (method.id == AMQP_CONNECTION_UNBLOCKED_METHOD) {
    set_blocked(false, {});
  }
  return {};
}

// A returned message is acknowledged as well, after its return (RabbitMQ, publisher confirms).
void PublishClient::confirm(uint64_t tag, bool is_multiple, Error error) {
  auto first = is_multiple ? sent_.begin() : sent_.find(tag);
  const auto end = is_multiple || first == sent_.end() ? sent_.upper_bound(tag) : std::next(first);
  if (first == sent_.end()) return;
  for (auto each = first; each != end; ++each) {
    answer(each->second, each->second.is_returned ? kReturned : error);
  }
  sent_.erase(first, end);
}

// Its queue is gone. It shall be there when the event is published again.
void PublishClient::on_returned(const AmqpMessage& message) {
  must_declare_ = true;
  for (auto& [tag, sent] : sent_) {
    if (sent.is_returned || sent.message_id != message.message_id) continue;
    sent.is_returned = true;
    return;
  }
}

void PublishClient::set_blocked(bool is_blocked, std::string_view reason) {
  if (is_blocked) {
    log_warn("rabbitmq", "the broker takes no more events ({}); they wait in the outbox", reason);
  } else {
    log_info("rabbitmq", "the broker takes events again");
  }
  is_blocked_ = is_blocked;
  heard_.state(!is_blocked);
}

void PublishClient::answer(const Sent& sent, Error error) { results_.push_back({sent.key, error}); }

void PublishClient::flush() {
  if (!results_.empty()) heard_.results(std::exchange(results_, {}));
}

// What the broker had and did not confirm it may have or not. What waited behind it has waited long
// enough, too.
void PublishClient::on_lost() {
  heard_.state(false);
  for (const auto& [tag, sent] : sent_) answer(sent, kLost);
  sent_.clear();
  for (std::vector<PublishJob> jobs = take(); !jobs.empty(); jobs = take()) {
    for (const PublishJob& job : jobs) results_.push_back({job.key, kLost});
  }
  flush();
}

}  // namespace sluice::orders
