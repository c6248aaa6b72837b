// What the tests of cache share: requests as fields, keys, and entries made of few words.
#pragma once

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sluice/base/arena.h"
#include "sluice/cache/entry.h"
#include "sluice/cache/vary.h"
#include "sluice/http/message.h"

namespace sluice::cache::test {

inline const HashSecret kSecret("test");

// Fields that live as long as this.
class Fields {
 public:
  using Lines = std::vector<std::pair<std::string, std::string>>;
  Fields(Lines lines = {}) : lines_(std::move(lines)) {  // NOLINT: implicit
    for (const auto& [name, value] : lines_) fields_.push_back({name, value, http::field_id(name)});
    list_ = http::FieldList(fields_);
  }
  Fields(const Fields&) = delete;
  Fields& operator=(const Fields&) = delete;
  const http::FieldList& list() const { return list_; }
  const std::vector<http::Field>& all() const { return fields_; }

 private:
  Lines lines_;
  std::vector<http::Field> fields_;
  http::FieldList list_;
};

// Memory for one test.
struct Memory {
  ChunkPool pool;
  Arena arena{pool};

  Key key(std::string_view target, const KeyRule& rule = {}, const Fields& request = {}) {
    const auto key =
        make_key({"http", "shop.example", target}, request.list(), rule, kSecret, arena);
    REQUIRE(key);
    return *key;
  }
};

inline WallTime at_second(int64_t second) { return WallTime(std::chrono::seconds(second)); }

// What differs between the entries of a test.
struct Made {
  Fields::Lines response = {{"Content-Type", "text/plain"}};
  Fields::Lines request;  // what its Vary goes by
  std::string body = "hello";
  int64_t date = 1000;
  uint64_t started = 0;
  std::vector<std::string> tags;
};

inline Ref<Entry> make_entry(MemoryBudget& budget, const Key& key, const Made& made = {}) {
  Memory memory;
  const Fields response(made.response), request(made.request);
  const auto names = vary_names(response.list(), memory.arena);
  REQUIRE(names);
  std::vector<EntryTag> tags;
  for (const std::string& tag : made.tags) tags.push_back({tag_hash(tag)});
  const EntryPart part{0, Body::copy_of(budget, made.body)};
  if (!part.body) return nullptr;
  EntrySpec spec;
  spec.key = key;
  spec.vary = vary_of(*names, request.list(), memory.arena);
  spec.status = 200;
  spec.reason = "OK";
  spec.fields = response.all();
  spec.times.request = spec.times.response = spec.times.date = at_second(made.date);
  spec.times.freshness = std::chrono::seconds(60);
  spec.started = made.started;
  spec.tags = tags;
  spec.parts = {&part, 1};
  return Entry::make(budget, spec);
}

inline std::string text_of(const Ref<Body>& body) {
  Chain chain;
  BodyReader(body).read(chain, SIZE_MAX);
  return chain.to_string();
}
inline std::string text_of(const Entry& entry) { return text_of(entry.parts()[0].body); }

}  // namespace sluice::cache::test
