#include "sluice/cache/entry.h"

#include <algorithm>

#include "entries.h"
#include "sluice/http/forwarding.h"
#include "sluice/http/h1_parser.h"

using namespace sluice;
using namespace sluice::cache;
using namespace sluice::cache::test;

namespace {
constexpr size_t kWide = 1 << 30;
}

TEST_CASE("cache/entry: everything of the spec is copied, and its memory counted") {
  MemoryBudget budget(kWide);
  Memory memory;
  {
    Made made;
    made.response = {{"ETag", "\"1\""},
                     {"Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"},
                     {"Vary", "X-B, Accept-Language"},
                     {"X-Empty", ""}};
    made.request = {{"x-b", "1,2"}};
    made.tags = {"a", "b"};
    made.started = 5;
    const Ref<Entry> entry = make_entry(budget, memory.key("/a"), made);
    REQUIRE(entry);
    CHECK(entry->key().text == "GET 24 http://shop.example:80/a");
    CHECK(entry->key().url == "http://shop.example:80/a");
    CHECK(entry->status() == 200);
    CHECK(entry->etag() == "\"1\"");
    CHECK(entry->last_modified() == "Sun, 06 Nov 1994 08:49:37 GMT");
    CHECK(entry->fields().find("x-empty")->value.empty());
    REQUIRE(entry->vary().size() == 2);
    CHECK(entry->vary()[0].name == "accept-language");
    CHECK_FALSE(entry->vary()[0].is_present);
    CHECK(entry->vary()[1].is_present);
    REQUIRE(entry->tags().size() == 2);
    CHECK(entry->tags()[1].hash == tag_hash("b"));
    CHECK(entry->started() == 5);
    CHECK(entry->complete_length() == 5);
    CHECK(entry->is_whole());
    CHECK(entry->size() == budget.used());
    CHECK(entry->age(at_second(1010)) == std::chrono::seconds(10));
    CHECK(entry->age(at_second(900)) == Duration{0});
  }
  CHECK(budget.used() == 0);
}

TEST_CASE("cache/entry: its head is one that write_response_head copies and others parse") {
  MemoryBudget budget(kWide);
  Memory memory;
  Made made;
  made.response = {{"Content-Length", "5"}, {"X-Empty", ""}, {"ETag", "\"1\""}};
  const Ref<Entry> entry = make_entry(budget, memory.key("/a"), made);
  CHECK(entry->head().raw ==
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Empty: \r\nETag: \"1\"\r\n\r\n");
  const auto parsed =
      http::parse_response_head(entry->head().raw, {}, http::Method::get, memory.arena);
  REQUIRE(parsed);
  CHECK(parsed->fields.size() == 3);

  Chain chain;
  {
    ChainWriter out(memory.pool, chain);
    http::ResponseForwarding how;
    how.framing = {http::BodyKind::length, 5};
    how.extra_lines = "Age: 1\r\n";
    http::write_response_head(entry->head(), how, "Sun, 06 Nov 1994 08:49:37 GMT", out);
  }
  CHECK(chain.to_string() ==
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Empty: \r\nETag: \"1\"\r\n"
        "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nVia: 1.1 sluice\r\nAge: 1\r\n\r\n");
}

TEST_CASE("cache/entry: a changed copy shares the body, also when the old one is gone") {
  MemoryBudget budget(kWide);
  Memory memory;
  Ref<Entry> old = make_entry(budget, memory.key("/a"));
  old->mark_stale();
  EntrySpec spec = old->spec();
  spec.times.response = spec.times.date = at_second(2000);
  const Fields fields(Fields::Lines{{"ETag", "\"2\""}});
  spec.fields = fields.all();
  const Ref<Entry> updated = Entry::make(budget, spec);
  CHECK(updated->parts()[0].body == old->parts()[0].body);
  old = nullptr;
  CHECK(text_of(*updated) == "hello");
  CHECK(updated->etag() == "\"2\"");
  CHECK(updated->fields().size() == 1);
  CHECK_FALSE(updated->is_marked_stale());
}

TEST_CASE("cache/entry: whole is only what is one complete part of the known length") {
  MemoryBudget budget(kWide);
  Memory memory;
  EntrySpec spec;
  spec.key = memory.key("/");
  spec.status = 206;
  const EntryPart parts[] = {{0, Body::copy_of(budget, "01234")},
                             {7, Body::copy_of(budget, "789")}};
  spec.complete_length = 10;
  spec.parts = parts;
  CHECK_FALSE(Entry::make(budget, spec)->is_whole());
  CHECK(Entry::make(budget, spec)->complete_length() == 10);
  spec.parts = {parts, 1};
  CHECK_FALSE(Entry::make(budget, spec)->is_whole());
  spec.complete_length = 5;
  CHECK(Entry::make(budget, spec)->is_whole());
  spec.complete_length = std::nullopt;
  spec.parts = {parts + 1, 1};
  CHECK_FALSE(Entry::make(budget, spec)->complete_length());

  const EntryPart growing{0, Body::make(budget, std::nullopt)};
  spec.parts = {&growing, 1};
  const Ref<Entry> entry = Entry::make(budget, spec);
  CHECK(growing.body->append("abc"));
  CHECK_FALSE(entry->is_whole());
  growing.body->complete();
  CHECK(entry->is_whole());
  CHECK(entry->complete_length() == 3);

  spec.parts = {};
  CHECK(Entry::make(budget, spec)->is_whole());
}

TEST_CASE("cache/entry: a budget that refuses makes none") {
  MemoryBudget budget(300);
  Memory memory;
  EntrySpec spec;
  spec.key = memory.key("/");
  spec.status = 200;
  CHECK_FALSE(Entry::make(budget, spec));
  CHECK(budget.used() == 0);
}
