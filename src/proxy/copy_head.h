// Copies of heads that outlive the connection they came by.
#pragma once

#include <cstddef>
#include <new>
#include <string_view>
#include <type_traits>

#include "sluice/base/arena.h"
#include "sluice/http/message.h"

namespace sluice::proxy {

// A head whose texts live in `arena`. Fields stay runs of its raw lines where they were.
template <typename Head>
Head copy_head(const Head& from, Arena& arena) {
  Head copy = from;
  copy.raw = arena.copy(from.raw);
  auto moved = [&](std::string_view text) {
    const bool is_in_raw = !from.raw.empty() && text.data() >= from.raw.data() &&
                           text.data() + text.size() <= from.raw.data() + from.raw.size();
    if (!is_in_raw) return arena.copy(text);
    return copy.raw.substr(static_cast<size_t>(text.data() - from.raw.data()), text.size());
  };
  auto* fields = arena.allocate_array<http::Field>(from.fields.size());
  size_t count = 0;
  for (const http::Field& field : from.fields) {
    new (&fields[count++]) http::Field{moved(field.name), moved(field.value), field.id};
  }
  copy.fields = http::FieldList({fields, count});
  if constexpr (std::is_same_v<Head, http::RequestHead>) {
    copy.method_text = moved(from.method_text);
    copy.target = moved(from.target);
    copy.authority = moved(from.authority);
    copy.path = moved(from.path);
  } else {
    copy.reason = moved(from.reason);
  }
  return copy;
}

}  // namespace sluice::proxy
