#include "sluice/cache/body.h"

#include <string>

#include "entries.h"

using namespace sluice;
using namespace sluice::cache;
using namespace sluice::cache::test;

namespace {

constexpr size_t kWide = 1 << 30;

std::string pattern(size_t size) {
  std::string text(size, '\0');
  for (size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + (i * 7 + i / 251) % 26);
  return text;
}

}  // namespace

TEST_CASE("cache/body: a known length up to 1 MiB is one block, read as one slice") {
  MemoryBudget budget(kWide);
  for (const size_t size : {size_t{0}, size_t{1}, size_t{130}, size_t{100'000}, size_t{1 << 20}}) {
    const std::string text = pattern(size);
    const Ref<Body> body = Body::make(budget, size);
    REQUIRE(body);
    const size_t half = size / 2;
    CHECK(body->append(text.substr(0, half)));
    CHECK(body->append(text.substr(half)));
    CHECK(body->complete());
    Chain chain;
    CHECK(BodyReader(body).read(chain, SIZE_MAX) == size);
    CHECK(chain.slice_count() == (size > 0 ? 1 : 0));
    CHECK(chain.to_string() == text);
    CHECK(body->cost() >= size);
    CHECK(body->cost() <= size + 5000);
  }
}

TEST_CASE(
    "cache/body: an unknown length grows, wasting at most a third, and compacts to one block") {
  MemoryBudget budget(kWide);
  for (const size_t size :
       {size_t{1}, size_t{4096}, size_t{5000}, size_t{200'000}, size_t{3'000'000}}) {
    const std::string text = pattern(size);
    Ref<Body> body = Body::make(budget, std::nullopt);
    for (size_t at = 0; at < size; at += 1000) {
      REQUIRE(body->append(std::string_view(text).substr(at, 1000)));
    }
    CHECK(body->complete());
    CHECK(text_of(body) == text);
    CHECK(body->cost() <= size + size / 2 + 3 * 8192);
    body = Body::compact(std::move(body));
    CHECK(text_of(body) == text);
    CHECK(body->is_complete());
    Chain chain;
    BodyReader(body).read(chain, SIZE_MAX);
    if (size <= 256 * 1024) {
      CHECK(chain.slice_count() == 1);
      CHECK(body->cost() <= size + size / 8 + 5000);
    }
    chain.clear();
    CHECK(budget.used() == body->cost());
  }
  CHECK(budget.used() == 0);
}

TEST_CASE(
    "cache/body: a reader gets what is published, from anywhere, in the portions it asks for") {
  MemoryBudget budget(kWide);
  const std::string text = pattern(50'000);
  const Ref<Body> body = Body::make(budget, std::nullopt);
  BodyReader reader(body, 10), beyond(body, 60'000);
  Chain chain;
  CHECK(reader.read(chain, 100) == 0);
  CHECK(body->append(text.substr(0, 5)));
  CHECK(reader.read(chain, 100) == 0);
  CHECK(body->append(text.substr(5, 20'000)));
  CHECK(reader.read(chain, 100) == 100);
  CHECK(chain.to_string() == text.substr(10, 100));
  CHECK(reader.read(chain, SIZE_MAX) == 20'005 - 110);
  CHECK(body->append(text.substr(20'005)));
  CHECK(body->complete());
  CHECK(reader.read(chain, SIZE_MAX) == 50'000 - 20'005);
  CHECK(chain.to_string() == text.substr(10));
  CHECK(beyond.read(chain, 1) == 0);
}

TEST_CASE("cache/body: what is there is read as one small piece, or not at all") {
  MemoryBudget budget{1 << 20};
  Ref<Body> body = Body::make(budget, std::nullopt);
  REQUIRE(body);
  BodyReader reader(body);
  CHECK(reader.read_small(100).empty());
  REQUIRE(body->append("0123456789"));
  CHECK(reader.read_small(9).empty());
  CHECK(reader.read_small(10) == "0123456789");
  CHECK(reader.offset() == 10);
  CHECK(reader.read_small(10).empty());
  REQUIRE(body->append("abc"));
  CHECK(BodyReader(body, 11).read_small(10) == "bc");
  CHECK(BodyReader(body, 14).read_small(10).empty());
  CHECK(reader.read_small(10) == "abc");
  REQUIRE(body->append(std::string(100'000, 'x')));  // in several blocks
  CHECK(BodyReader(body).read_small(1 << 20).empty());
  CHECK(reader.read_small(1 << 20).empty());
  Chain rest;
  CHECK(reader.read(rest, 1 << 20) == 100'000);
}

TEST_CASE("cache/body: slices keep the bytes when all else let go") {
  MemoryBudget budget(kWide);
  Chain chain;
  {
    const Ref<Body> body = Body::copy_of(budget, "kept");
    BodyReader(body).read(chain, SIZE_MAX);
  }
  CHECK(budget.used() > 0);
  CHECK(chain.to_string() == "kept");
  chain.clear();
  CHECK(budget.used() == 0);
}

TEST_CASE("cache/body: more or less than was announced fails it") {
  MemoryBudget budget(kWide);
  const Ref<Body> shorter = Body::make(budget, 10);
  CHECK(shorter->append("12345"));
  CHECK_FALSE(shorter->complete());
  CHECK(shorter->progress().state == Body::State::failed);

  const Ref<Body> longer = Body::make(budget, 3);
  CHECK_FALSE(longer->append("12345"));
  longer->fail();
  CHECK(text_of(longer) == "123");
  CHECK(longer->progress().state == Body::State::failed);
}

TEST_CASE("cache/body: a budget that refuses stops it where it is, and has all back at the end") {
  MemoryBudget budget(20'000);
  {
    const Ref<Body> body = Body::make(budget, std::nullopt);
    REQUIRE(body);
    const std::string text = pattern(100'000);
    CHECK_FALSE(body->append(text));
    body->fail();
    CHECK(budget.used() <= budget.limit());
    CHECK(body->size() > 4000);
    CHECK(text_of(body) == text.substr(0, body->size()));
    CHECK_FALSE(Body::make(budget, 19'000));
  }
  CHECK(budget.used() == 0);
}

TEST_CASE(
    "cache/memory_budget: a refusal asks the reclaimer first; a lower limit refuses at once") {
  struct Freeing : Reclaimer {
    MemoryBudget* budget = nullptr;
    size_t held = 0;
    void reclaim(size_t bytes) noexcept override {
      const size_t give = std::min(bytes, held);
      budget->release(give);
      held -= give;
    }
  } freeing;
  MemoryBudget budget(100, &freeing);
  freeing.budget = &budget;
  REQUIRE(budget.reserve(90));
  freeing.held = 50;
  CHECK(budget.reserve(30));
  CHECK(budget.used() == 90);
  CHECK_FALSE(budget.try_reserve(20));
  CHECK_FALSE(budget.reserve(101));
  CHECK(freeing.held == 20);
  budget.set_limit(50);
  CHECK_FALSE(budget.try_reserve(1));
  budget.release(budget.used());
}
