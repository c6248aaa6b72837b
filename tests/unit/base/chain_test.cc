#include "sluice/base/chain.h"

#include <doctest/doctest.h>

#include <deque>
#include <string>

#include "sluice/base/random.h"

using namespace sluice;

namespace {

struct Segment final : SharedBytes {
  explicit Segment(int& d) : deaths(d) {}
  ~Segment() override { ++deaths; }
  int& deaths;
  std::string bytes = "0123456789";
};

Chain chain_of(std::initializer_list<std::string_view> parts) {
  Chain chain;
  for (std::string_view part : parts) chain.push_back(Slice::from_static(part));
  return chain;
}

}  // namespace

TEST_CASE("base/chain: a slice of a chunk holds one reference, a moved-from slice none") {
  ChunkPool pool;
  Chunk* chunk = pool.get();
  {
    Slice one = Slice::of_chunk(chunk, chunk->data(), 10);
    CHECK(chunk->refs == 2);
    Slice two = one;
    CHECK(chunk->refs == 3);
    Slice three = std::move(one);
    CHECK(chunk->refs == 3);
    CHECK(one.is_empty());
    two = std::move(three);
    CHECK(chunk->refs == 2);
    Slice part = two.sub(2, 3);
    CHECK(chunk->refs == 3);
    CHECK(part.data() == chunk->data() + 2);
    CHECK(part.size() == 3);
  }
  CHECK(chunk->refs == 1);
  ChunkPool::unref(chunk);
}

TEST_CASE("base/chain: shared bytes die with the last slice") {
  int deaths = 0;
  auto* segment = new Segment(deaths);
  Slice all = Slice::of_shared(segment, segment->bytes.data(), 10);
  segment->unref();
  Slice part = all.sub(5, 5);
  all = Slice();
  CHECK(deaths == 0);
  CHECK(part.view() == "56789");
  part = Slice();
  CHECK(deaths == 1);
}

TEST_CASE("base/chain: a copy stands alone") {
  Slice copy;
  {
    std::string text = "hello";
    copy = Slice::copy_of(text);
    text[0] = 'j';
  }
  CHECK(copy.view() == "hello");
  CHECK(Slice::copy_of("").is_empty());
}

TEST_CASE("base/chain: push, pop, and no empty slices") {
  Chain chain;
  CHECK(chain.is_empty());
  chain.push_back(Slice());
  CHECK(chain.slice_count() == 0);
  chain = chain_of({"ab", "", "cde"});
  CHECK(chain.size() == 5);
  CHECK(chain.slice_count() == 2);
  CHECK(chain.pop_front().view() == "ab");
  CHECK(chain.to_string() == "cde");
  chain.clear();
  CHECK(chain.is_empty());
  CHECK(chain.to_string().empty());
}

TEST_CASE("base/chain: slices that continue one another are joined, others are not") {
  ChunkPool pool;
  Chunk* chunk = pool.get();
  Chunk* other = pool.get();
  {
    Chain chain;
    chain.push_back(Slice::of_chunk(chunk, chunk->data(), 10));
    chain.push_back(Slice::of_chunk(chunk, chunk->data() + 10, 5));
    CHECK(chain.slice_count() == 1);
    CHECK(chunk->refs == 2);
    chain.push_back(Slice::of_chunk(chunk, chunk->data() + 20, 5));
    chain.push_back(Slice::of_chunk(other, other->data(), 5));
    CHECK(chain.slice_count() == 3);
    CHECK(chain.size() == 25);
    const std::string_view text = "abcdef";
    Chain fixed = chain_of({text.substr(0, 3), text.substr(3)});
    CHECK(fixed.slice_count() == 2);  // nothing says that static bytes belong together
  }
  CHECK(chunk->refs == 1);
  ChunkPool::unref(chunk);
  ChunkPool::unref(other);
}

TEST_CASE("base/chain: consume crosses slices") {
  for (size_t n = 0; n <= 9; ++n) {
    CAPTURE(n);
    Chain chain = chain_of({"abc", "d", "efghi"});
    chain.consume(n);
    CHECK(chain.to_string() == std::string("abcdefghi").substr(n));
    CHECK(chain.size() == 9 - n);
  }
}

TEST_CASE("base/chain: split_front divides at any byte") {
  for (size_t n = 0; n <= 9; ++n) {
    CAPTURE(n);
    Chain chain = chain_of({"abc", "d", "efghi"});
    Chain front = chain.split_front(n);
    CHECK(front.to_string() == std::string("abcdefghi").substr(0, n));
    CHECK(chain.to_string() == std::string("abcdefghi").substr(n));
  }
}

TEST_CASE("base/chain: a move leaves the source empty and usable, inline and on the heap") {
  for (int count : {0, 1, 4, 5, 100}) {
    CAPTURE(count);
    Chain chain;
    for (int i = 0; i < count; ++i) chain.push_back(Slice::from_static("xy"));
    Chain moved(std::move(chain));
    CHECK(chain.is_empty());
    CHECK(chain.slice_count() == 0);
    CHECK(moved.slice_count() == static_cast<size_t>(count));
    chain.push_back(Slice::from_static("again"));
    CHECK(chain.to_string() == "again");
    chain = std::move(moved);
    CHECK(chain.size() == 2 * static_cast<size_t>(count));
    CHECK(moved.is_empty());
    Chain& self = chain;
    chain = std::move(self);
    CHECK(chain.size() == 2 * static_cast<size_t>(count));
  }
}

TEST_CASE("base/chain: append takes all and empties the tail") {
  Chain chain = chain_of({"a", "b"});
  Chain tail = chain_of({"c", "d", "e", "f"});
  chain.append(std::move(tail));
  CHECK(chain.to_string() == "abcdef");
  CHECK(tail.is_empty());
  Chain empty;
  empty.append(std::move(chain));
  CHECK(empty.to_string() == "abcdef");
  empty.append(Chain());
  CHECK(empty.to_string() == "abcdef");
}

TEST_CASE(
    "base/chain: a few bytes are copied behind the last slice where nobody else can see them") {
  ChunkPool pool;
  Chain chain;
  CHECK_FALSE(chain.try_append_copy("x"));  // behind nothing
  ChainWriter(pool, chain).write("head ");
  CHECK(chain.try_append_copy("body"));
  CHECK(chain.slice_count() == 1);
  CHECK(chain.size() == 9);
  CHECK(chain.to_string() == "head body");

  const Slice also = chain.slice(0);  // another holder may have plans for the rest of the chunk
  CHECK_FALSE(chain.try_append_copy("x"));
  CHECK(also.view() == "head body");

  Chain full;
  ChainWriter(pool, full).write(std::string(kChunkSize - 1, 'a'));
  const bool has_room = full.try_append_copy("xy");
  CHECK(full.size() == kChunkSize - 1 + (has_room ? 2 : 0));
  CHECK_FALSE(full.try_append_copy(std::string(kChunkSize, 'x')));

  Chain fixed;
  fixed.push_back(Slice::from_static("static"));
  CHECK_FALSE(fixed.try_append_copy("x"));
  fixed.push_back(Slice::copy_of("shared"));
  CHECK_FALSE(fixed.try_append_copy("x"));
}

TEST_CASE("base/chain: iovecs and copies stop at what is asked for") {
  Chain chain = chain_of({"abc", "d", "efghi"});
  iovec parts[3];
  CHECK(chain.fill_iovecs(parts, 2) == 2);
  CHECK(parts[1].iov_len == 1);
  CHECK(chain.fill_iovecs(parts, 3) == 3);
  CHECK(std::string_view(static_cast<char*>(parts[2].iov_base), parts[2].iov_len) == "efghi");
  char out[16];
  CHECK(chain.copy_to(out, 5) == 5);
  CHECK(std::string_view(out, 5) == "abcde");
  CHECK(chain.copy_to(out, sizeof out) == 9);
  CHECK(chain.copy_to(out, 0) == 0);
}

TEST_CASE("base/chain: any order of operations agrees with a plain queue of bytes") {
  static const std::string kBytes(64, 'q');
  for (uint64_t seed = 0; seed < 50; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    ChunkPool pool;
    Chunk* chunk = pool.get();
    for (size_t i = 0; i < chunk->capacity; ++i) chunk->data()[i] = static_cast<char>(i * 7 % 251);
    {
      Chain chain;
      std::deque<char> model;
      for (int step = 0; step < 400; ++step) {
        const size_t n = random.below(40);
        if (random.below(5) < 3) {
          const size_t at = random.below(10'000);
          chain.push_back(Slice::of_chunk(chunk, chunk->data() + at, n));
          model.insert(model.end(), chunk->data() + at, chunk->data() + at + n);
        } else if (random.below(2) == 0) {
          const size_t gone = std::min(n * 2, model.size());
          chain.consume(gone);
          model.erase(model.begin(), model.begin() + static_cast<std::ptrdiff_t>(gone));
        } else {
          const size_t part = std::min(n, model.size());
          Chain front = chain.split_front(part);
          front.append(std::move(chain));
          chain = std::move(front);
        }
        CHECK(chain.size() == model.size());
      }
      CHECK(chain.to_string() == std::string(model.begin(), model.end()));
    }
    CHECK(chunk->refs == 1);
    ChunkPool::unref(chunk);
  }
}

TEST_CASE("base/chain: a writer's small pieces leave as one slice") {
  ChunkPool pool;
  Chain chain;
  {
    ChainWriter writer(pool, chain);
    writer.write("HTTP/1.1 ");
    writer.write("200 OK");
    writer.flush();
    writer.write("\r\n");
    writer.write('x');
  }
  CHECK(chain.slice_count() == 1);
  CHECK(chain.to_string() == "HTTP/1.1 200 OK\r\nx");
  CHECK(pool.chunks_in_use() == 1);
}

TEST_CASE("base/chain: a writer goes over chunks, and reserves contiguous room of any size") {
  ChunkPool pool;
  Chain chain;
  std::string all;
  {
    ChainWriter writer(pool, chain);
    const std::string piece(1000, 'p');
    for (int i = 0; i < 40; ++i) {
      writer.write(piece);
      all += piece;
    }
    for (size_t size : {size_t{10}, kChunkSize, 3 * kChunkSize}) {
      char* room = writer.reserve(size);
      for (size_t i = 0; i < size; ++i) room[i] = 'r';
      writer.commit(size - 5);
      all.append(size - 5, 'r');
    }
    writer.write("");
  }
  CHECK(chain.to_string() == all);
}
