// Redis is input: whatever stands there under our names, a client gets the right answer for its
// URL, and what is broken is replaced.
#include <xxhash.h>

#include "tests/e2e/harness/shared.h"

using namespace e2e;

namespace {

const std::string kFresh = "Cache-Control: max-age=600\r\nETag: \"1\"\r\nX-Marker: here\r\n";

struct Bench : Hosts {
  explicit Bench(size_t size = 100)
      : Hosts([size](const Message& request) {
          std::string body = "body of " + request.target + "|";
          body.resize(std::max(size, body.size()), '#');
          return answer(200, body, kFresh);
        }) {}

  std::string key(const std::string& path) { return store_and_name(a, redis, path); }
  // b has not seen it; what comes is right, whether or not from there.
  Message expect_right(const std::string& path) {
    const Message got = ask(b, path);
    CHECK(got.status == 200);
    CHECK(got.body.starts_with("body of " + path + "|"));
    CHECK(got.field("X-Marker") == "here");
    return got;
  }
  std::string record(const std::string& key) { return redis.ask({"HGET", key, "-"}); }
  // That what is wrong is out of the way: this host writes it again, another one finds it.
  void expect_healed(const std::string& path) {
    CHECK_FALSE(is_hit(expect_right(path)));
    const auto third = another();
    CHECK(eventually([&] { return is_from_redis(ask(*third, path)); }));
  }
};

}  // namespace

TEST_CASE("e2e/redis_garbage: another type under an entry's name") {
  Bench bench;
  int number = 0;
  for (const std::vector<std::string>& command :
       std::vector<std::vector<std::string>>{{"SET", "", "garbage"},
                                             {"LPUSH", "", "x"},
                                             {"SADD", "", "x"},
                                             {"ZADD", "", "1", "x"},
                                             {"XADD", "", "*", "a", "b"}}) {
    CAPTURE(command[0]);
    const std::string path = "/" + std::to_string(++number);
    const std::string key = bench.key(path);
    bench.redis.ask({"DEL", key});
    std::vector<std::string> words = command;
    words[1] = key;
    bench.redis.ask(words);
    bench.expect_healed(path);
  }
}

TEST_CASE("e2e/redis_garbage: bytes of no meaning in a record") {
  Bench bench;
  std::string noise(5000, '\0');
  for (size_t i = 0; i < noise.size(); ++i) noise[i] = static_cast<char>(i * i * 31 + i);
  int number = 0;
  for (const std::string& bytes : {std::string(), std::string("x"), noise, std::string(24, '\0'),
                                   std::string(23, '\xff'), repeat(noise, 400)}) {
    CAPTURE(bytes.size());
    const std::string path = "/" + std::to_string(++number);
    bench.redis.ask({"HSET", bench.key(path), "-", bytes});
    bench.expect_healed(path);
  }
}

TEST_CASE("e2e/redis_garbage: a record that was cut, or has one bit more or less") {
  Bench bench;
  const std::string key = bench.key("/x");
  const std::string whole = bench.record(key);
  REQUIRE(whole.size() > 100);
  for (size_t at = 0; at < whole.size(); at += 7) {
    CAPTURE(at);
    std::string flipped = whole;
    flipped[at] = static_cast<char>(flipped[at] ^ (1 << (at % 8)));
    for (const std::string& form :
         {whole.substr(0, at), flipped, whole + flipped.substr(0, at + 1)}) {
      bench.redis.ask({"HSET", key, "-", form});
      // Nothing but Redis can give it.
      const Message got = ask(bench.b, "/x", "Cache-Control: only-if-cached\r\n");
      CHECK(got.status == 504);
    }
  }
  bench.redis.ask({"HSET", key, "-", whole});
  CHECK(is_from_redis(bench.expect_right("/x")));
}

TEST_CASE("e2e/redis_garbage: a record of another URL is never served for this one") {
  Bench bench;
  const std::string ours = bench.key("/ours"), theirs = bench.key("/theirs");
  for (const std::string& field : {std::string("-"), std::string("other"), std::string("")}) {
    bench.redis.ask({"DEL", ours});
    bench.redis.ask({"HSET", ours, field, bench.record(theirs)});
    const Message got = ask(bench.b, "/ours", "Cache-Control: only-if-cached\r\n");
    CHECK(got.status == 504);
    CHECK(got.body.find("theirs") == std::string::npos);
  }
  bench.expect_right("/ours");
  bench.expect_right("/theirs");
}

TEST_CASE("e2e/redis_garbage: ten thousand fields under one entry, and one of a huge size") {
  Bench bench;
  const std::string many = bench.key("/many"), huge = bench.key("/huge");
  bench.redis.ask({"EVAL",
                   "for i = 1, 10000 do redis.call('HSET', KEYS[1], i, string.rep('x', 100)) end",
                   "1", many});
  bench.redis.ask({"HSET", huge, "x", repeat("0123456789", 4'000'000)});
  bench.expect_right("/many");
  bench.expect_right("/huge");
  CHECK(bench.b.rss_kib() < 300'000);
}

TEST_CASE("e2e/redis_garbage: more than a reply may hold is deleted, and costs nobody the tier") {
  Bench bench;
  const std::string many = bench.key("/many"), huge = bench.key("/huge");
  bench.key("/other");
  bench.redis.ask({"EVAL",
                   "for i = 1, 20000 do redis.call('HSET', KEYS[1], i, 'x') end return redis.call("
                   "'HSET', KEYS[2], 'x', string.rep('0123456789', 400000))",
                   "2", many, huge});
  for (const std::string path : {"/many", "/huge"}) {
    CAPTURE(path);
    const std::string url = "http://test" + path;
    const Finished found = bench.b.command({"cache", "get", url});
    CHECK(found.out.find("TOOLARGE") != std::string::npos);
    bench.expect_healed(path);
  }
  CHECK(is_from_redis(ask(bench.b, "/other")));
}

TEST_CASE("e2e/redis_garbage: chunks that are gone, cut, of another type or another body") {
  struct Case {
    const char* name;
    std::function<void(Bench&, const std::string& chunk, const std::string& other)> spoil;
  };
  const Case cases[] = {
      {"gone",
       [](Bench& bench, const std::string& chunk, const std::string&) {
         bench.redis.ask({"DEL", chunk});
       }},
      {"cut",
       [](Bench& bench, const std::string& chunk, const std::string&) {
         const std::string bytes = bench.redis.ask({"GET", chunk});
         bench.redis.ask({"SET", chunk, bytes.substr(0, bytes.size() - 1), "KEEPTTL"});
       }},
      {"empty",
       [](Bench& bench, const std::string& chunk, const std::string&) {
         bench.redis.ask({"SET", chunk, "", "KEEPTTL"});
       }},
      {"other type",
       [](Bench& bench, const std::string& chunk, const std::string&) {
         bench.redis.ask({"DEL", chunk});
         bench.redis.ask({"SADD", chunk, "x"});
       }},
      {"another body",
       [](Bench& bench, const std::string& chunk, const std::string& other) {
         bench.redis.ask({"SET", chunk, bench.redis.ask({"GET", other}), "KEEPTTL"});
       }},
      {"changed",
       [](Bench& bench, const std::string& chunk, const std::string&) {
         bench.redis.ask({"SETRANGE", chunk, "200000", "!"});
       }},
  };
  Bench bench(600'000);
  const std::string other = bench.key("/other") + ":b:*:1";
  int number = 0;
  for (const Case& each : cases) {
    CAPTURE(std::string(each.name));
    const std::string path = "/" + std::to_string(++number);
    const std::vector<std::string> chunks = bench.redis.keys(bench.key(path) + ":b:*:1");
    REQUIRE(chunks.size() == 1);
    each.spoil(bench, chunks[0], bench.redis.keys(other).at(0));
    const Message got = bench.expect_right(path);
    CHECK_FALSE(is_hit(got));
    CHECK(got.body.size() == 600'000);
    CHECK(got.body.find('!') == std::string::npos);
  }
}

TEST_CASE("e2e/redis_garbage: a state and a record of purges that are none") {
  const std::vector<std::vector<std::string>> spoils = {
      {"SET", "sluice:state", "garbage"},
      {"HSET", "sluice:state", "epoch", "-5"},
      {"HSET", "sluice:state", "epoch", "abc"},
      {"HSET", "sluice:state", "purges", "99999999999999999999999"},
      {"HSET", "sluice:state", "purges", "-1"},
      {"HDEL", "sluice:state", "epoch"},
      {"HDEL", "sluice:state", "purges"},
      {"LPUSH", "sluice:state", "x"},
      {"SET", "sluice:purges", "x"},
      {"ZADD", "sluice:purges", "1", "garbage", "2", "2 garbage", "inf", "inf", "7", "8 hard all"},
      {"ZADD", "sluice:purges", "99999", "99999 hard all"},
  };
  Bench bench;
  int number = 0;
  for (const std::vector<std::string>& spoil : spoils) {
    CAPTURE(spoil[1] + " " + spoil.back());
    const std::string path = "/" + std::to_string(++number);
    bench.key(path);
    if (spoil[0] != "HSET" && spoil[0] != "HDEL" && spoil[0] != "ZADD") {
      bench.redis.ask({"DEL", spoil[1]});
    }
    CHECK_FALSE(bench.redis.ask(spoil).starts_with("-"));
    bench.expect_right(path);
    await_shared(bench.a, bench.b);
    await_shared(bench.b, bench.a);
    // Purges work again too.
    store(bench.a, path + "p");
    CHECK(is_from_redis(bench.expect_right(path + "p")));
    CHECK(ask(bench.a, path + "p", "Content-Length: 0\r\n", "POST").status == 200);
    CHECK(eventually([&] {
      return ask(bench.b, path + "p", "Cache-Control: only-if-cached\r\n").status == 504;
    }));
  }
}

TEST_CASE("e2e/redis_garbage: news that are none change nothing") {
  Bench bench;
  bench.key("/x");
  bench.expect_right("/x");
  const std::string epoch = bench.redis.ask({"HGET", "sluice:state", "epoch"});
  for (const std::string& text :
       {std::string(), std::string("x"), std::string("1 1 hard all"), epoch + " 5",
        epoch + " 99999 hard all", epoch + " 99999999999999999999 hard all",
        epoch + " 1 hard url " + repeat("x", 100'000), std::string(1'000'000, '\0')}) {
    CHECK(bench.redis.number({"PUBLISH", "sluice:news", text}) == 2);
  }
  await_shared(bench.a, bench.b);
  CHECK(is_from_memory(ask(bench.b, "/x")));
  CHECK(bench.b.value("sluice_cache_memory_flushes_total") == 0);
}

namespace {

// The checksum is no secret: whoever may write to Redis can make records that check.
std::string forge(std::string record) {
  uint64_t sum = XXH3_64bits_withSeed(record.data() + 24, record.size() - 24,
                                      XXH3_64bits_withSeed(record.data(), 16, 0));
  for (size_t i = 0; i < 8; ++i, sum >>= 8) record[16 + i] = static_cast<char>(sum);
  return record;
}

}  // namespace

TEST_CASE("e2e/redis_garbage: a forged record brings no head that an endpoint could not send") {
  Bench bench;
  const std::string key = bench.key("/x"), whole = bench.record(key);
  const std::string marker = "X-Marker: here";
  const size_t at = whole.find(marker);
  REQUIRE(at != std::string::npos);
  REQUIRE(forge(whole) == whole);
  const std::string forms[] = {"X-Marker:\nhere",    "X-Mark\rr: here",
                               "X-Mark\n: here",     "X-Marker: h\rre",
                               "X-Mark r: here",     ": X-Marker:her",
                               "X-M: 1\r\n\r\nabcd", "HTTP/1.1 200 O",
                               "X-M: 1\r\n b: 2",    std::string("X-Marker: h\0e", 14)};
  for (std::string form : forms) {
    CAPTURE(printable(form));
    form.resize(marker.size(), 'x');
    std::string forged = whole;
    bench.redis.ask({"HSET", key, "-", forge(forged.replace(at, form.size(), form))});
    CHECK(ask(bench.b, "/x", "Cache-Control: only-if-cached\r\n").status == 504);
  }
}

TEST_CASE("e2e/redis_garbage: forged records of all kinds break nothing") {
  Bench bench;
  const size_t size = bench.record(bench.key("/first")).size();
  for (size_t i = 0; i < size; i += 3) {
    CAPTURE(i);
    const std::string path = "/f" + std::to_string(i) + ".";
    const std::string key = bench.key(path);
    std::string record = bench.record(key);
    const size_t at = std::min(i, record.size() - 1);
    record[at] = static_cast<char>(record[at] ^ (i % 2 == 0 ? 0x80 : 0x01));
    bench.redis.ask({"HSET", key, "-", forge(record)});
    const Message got = ask(bench.b, path);
    CHECK(got.complete);
    CHECK(got.status >= 200);
  }
}
