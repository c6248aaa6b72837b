#include "amqp_message.h"

#include <algorithm>
#include <utility>

#include "amqp_connection.h"

namespace sluice::orders {
namespace {

int64_t number_of(const amqp_field_value_t& value) noexcept {
  switch (value.kind) {
    case AMQP_FIELD_KIND_I8:
      return value.value.i8;
    case AMQP_FIELD_KIND_U8:
      return value.value.u8;
    case AMQP_FIELD_KIND_I16:
      return value.value.i16;
    case AMQP_FIELD_KIND_U16:
      return value.value.u16;
    case AMQP_FIELD_KIND_I32:
      return value.value.i32;
    case AMQP_FIELD_KIND_U32:
      return value.value.u32;
    case AMQP_FIELD_KIND_I64:
      return value.value.i64;
    default:
      return 0;
  }
}

}  // namespace

void AmqpMessageReader::begin() noexcept {
  state_ = State::header;
  message_ = {};
}

AmqpMessageReader::Step AmqpMessageReader::add(const amqp_frame_t& frame) {
  if (state_ == State::header && frame.frame_type == AMQP_FRAME_HEADER) {
    state_ = State::body;
    left_ = frame.payload.properties.body_size;
    read_header(*static_cast<const amqp_basic_properties_t*>(frame.payload.properties.decoded));
  } else if (state_ == State::body && frame.frame_type == AMQP_FRAME_BODY) {
    const std::string_view piece = text_of(frame.payload.body_fragment);
    if (piece.size() > left_) return Step::problem;
    left_ -= piece.size();
    message_.body += piece.substr(0, kMostBody - message_.body.size());
  } else {
    return Step::problem;
  }
  return left_ == 0 ? Step::complete : Step::more;
}

// RabbitMQ counts in x-delivery-count how often a quorum queue delivered the message before; the
// first delivery has none.
void AmqpMessageReader::read_header(const amqp_basic_properties_t& properties) {
  if ((properties._flags & AMQP_BASIC_MESSAGE_ID_FLAG) != 0) {
    message_.message_id = text_of(properties.message_id);
  }
  if ((properties._flags & AMQP_BASIC_HEADERS_FLAG) == 0) return;
  for (int i = 0; i < properties.headers.num_entries; ++i) {
    const amqp_table_entry_t& each = properties.headers.entries[i];
    const std::string_view name = text_of(each.key);
    const bool is_text =
        each.value.kind == AMQP_FIELD_KIND_UTF8 || each.value.kind == AMQP_FIELD_KIND_BYTES;
    if (name == "traceparent" && is_text) message_.traceparent = text_of(each.value.value.bytes);
    if (name == "x-delivery-count") {
      message_.attempts = 1 + std::clamp<int64_t>(number_of(each.value), 0, INT32_MAX);
    }
  }
}

AmqpMessage AmqpMessageReader::take() {
  state_ = State::idle;
  return std::exchange(message_, {});
}

}  // namespace sluice::orders
