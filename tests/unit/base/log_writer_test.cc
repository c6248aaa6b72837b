#include "sluice/base/log_writer.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <thread>
#include <vector>

#include "sluice/base/clock.h"
#include "sluice/base/log.h"
#include "tests/unit/base/helpers.h"

using namespace sluice;
using namespace std::chrono_literals;
using test::read_file;

namespace {

template <typename Predicate>
bool becomes_true(Predicate&& predicate) {
  const TimePoint deadline = monotonic_now() + 10s;
  while (monotonic_now() < deadline) {
    if (predicate()) return true;
    std::this_thread::yield();
  }
  return false;
}

}  // namespace

TEST_CASE("base/log_writer: stop writes what is left, from every ring, and may come twice") {
  test::TemporaryFolder folder;
  LogRing one(1024), two(1024);
  LogWriter writer;
  const auto sink = writer.open(folder.file("log"));
  REQUIRE(sink);
  writer.add(one, *sink);
  writer.add(two, *sink);
  writer.start();
  one.push("first\n");
  two.push("second\n");
  writer.stop();
  writer.stop();
  CHECK(read_file(folder.file("log")) == "first\nsecond\n");
  CHECK(writer.write_errors() == 0);
  CHECK(writer.lost_lines() == 0);
}

TEST_CASE("base/log_writer: lines are written while it runs, without a stop") {
  test::TemporaryFolder folder;
  LogRing ring(1024);
  LogWriter writer;
  writer.add(ring, *writer.open(folder.file("log")));
  writer.start();
  ring.push("line\n");
  CHECK(becomes_true([&] { return read_file(folder.file("log")) == "line\n"; }));
  ring.push("more\n");
  writer.wake();
  CHECK(becomes_true([&] { return read_file(folder.file("log")) == "line\nmore\n"; }));
}

TEST_CASE("base/log_writer: the file is private, appended to, and one name is one sink") {
  test::TemporaryFolder folder;
  const std::string path = folder.file("log");
  for (int i = 0; i < 2; ++i) {
    LogRing ring(1024);
    LogWriter writer;
    const auto sink = writer.open(path);
    CHECK(*sink == *writer.open(path));
    CHECK(*writer.open("stdout") == *writer.open("/dev/stdout"));
    CHECK(*writer.open("stderr") == *writer.open("/dev/stderr"));
    writer.add(ring, *sink);
    ring.push("x\n");
    writer.start();
  }
  CHECK(read_file(path) == "x\nx\n");
  struct stat info {};
  REQUIRE(stat(path.c_str(), &info) == 0);
  CHECK((info.st_mode & 0007) == 0);
}

TEST_CASE("base/log_writer: a path that cannot be opened is an error with its errno") {
  LogWriter writer;
  const auto sink = writer.open("/nonexistent/folder/log");
  CHECK(!sink);
  CHECK(sink.error().code() == Errc::kSystem);
  CHECK(sink.error().sys() == ENOENT);
}

TEST_CASE("base/log_writer: remove writes the ring's rest, running or not") {
  test::TemporaryFolder folder;
  LogWriter writer;
  const auto sink = writer.open(folder.file("log"));
  {
    LogRing early(1024);
    writer.add(early, *sink);
    early.push("early\n");
    writer.remove(early);
  }
  writer.start();
  {
    LogRing late(1024);
    writer.add(late, *sink);
    late.push("late\n");
    writer.remove(late);
    writer.remove(late);
  }
  CHECK(read_file(folder.file("log")) == "early\nlate\n");
}

TEST_CASE("base/log_writer: reopen follows a rotation") {
  test::TemporaryFolder folder;
  LogRing ring(1024);
  LogWriter writer;
  writer.add(ring, *writer.open(folder.file("log")));
  writer.start();
  ring.push("old\n");
  REQUIRE(becomes_true([&] { return read_file(folder.file("log")) == "old\n"; }));
  std::filesystem::rename(folder.file("log"), folder.file("log.1"));
  writer.reopen();
  REQUIRE(becomes_true([&] { return std::filesystem::exists(folder.file("log")); }));
  ring.push("new\n");
  writer.stop();
  CHECK(read_file(folder.file("log.1")) == "old\n");
  CHECK(read_file(folder.file("log")) == "new\n");
}

TEST_CASE("base/log_writer: several producers at once, whole lines, nothing lost") {
  test::TemporaryFolder folder;
  LogWriter writer;
  const auto sink = writer.open(folder.file("log"));
  writer.start();
  std::vector<std::thread> producers;
  constexpr int kThreads = 3, kLines = 3000;
  for (int t = 0; t < kThreads; ++t) {
    producers.emplace_back([&writer, &sink, t] {
      LogRing ring(4096);
      writer.add(ring, *sink);
      for (int i = 0; i < kLines; ++i) {
        const std::string line = "thread" + std::to_string(t) + "\n";
        while (!ring.push(line)) std::this_thread::yield();
        if (ring.is_half_full()) writer.wake();
      }
      writer.remove(ring);
    });
  }
  for (std::thread& producer : producers) producer.join();
  const std::string all = read_file(folder.file("log"));
  CHECK(std::count(all.begin(), all.end(), '\n') == kThreads * kLines);
  CHECK(all.size() == size_t{kThreads} * kLines * sizeof("threadN"));
}

TEST_CASE("base/log_writer: a pipe that nobody reads costs its lines, not those of a file") {
  test::TemporaryFolder folder;
  const std::string fifo = folder.file("fifo");
  REQUIRE(mkfifo(fifo.c_str(), 0600) == 0);
  LogWriter writer;
  CHECK(writer.open(fifo).error().sys() == ENXIO);  // no reader: an error, not a wait
  const int reader = open(fifo.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  LogRing stuck(1 << 20), fine(1024);
  writer.add(stuck, *writer.open(fifo));
  writer.add(fine, *writer.open(folder.file("log")));
  writer.start();
  const std::string line = std::string(99, 'x') + "\n";
  int pushed = 0;
  while (stuck.push(line)) ++pushed;
  fine.push("here\n");
  CHECK(becomes_true([&] { return read_file(folder.file("log")) == "here\n"; }));
  writer.stop();
  std::string got(2 << 20, '\0');
  size_t size = 0;
  for (ssize_t n; (n = read(reader, got.data() + size, got.size() - size)) > 0;) {
    size += static_cast<size_t>(n);
  }
  close(reader);
  CHECK(size >= 4096);
  CHECK(size % line.size() == 0);  // no line was cut
  CHECK(size / line.size() + writer.lost_lines() == static_cast<uint64_t>(pushed));
  CHECK(writer.write_errors() == 0);
}

TEST_CASE("base/log_writer: a slow reader gets all in the end") {
  test::TemporaryFolder folder;
  const std::string fifo = folder.file("fifo");
  REQUIRE(mkfifo(fifo.c_str(), 0600) == 0);
  const int reader = open(fifo.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  LogWriter writer;
  LogRing ring(1 << 20);
  writer.add(ring, *writer.open(fifo));
  size_t pushed = 0;
  for (int i = 0; i < 3000; ++i) {
    const std::string line = std::to_string(i) + std::string(100, 'x') + "\n";
    if (ring.push(line)) pushed += line.size();
  }
  writer.start();
  size_t got = 0;
  char buffer[1000];
  CHECK(becomes_true([&] {
    const ssize_t n = read(reader, buffer, sizeof buffer);
    if (n > 0) got += static_cast<size_t>(n);
    return got == pushed;
  }));
  writer.stop();
  close(reader);
  CHECK(writer.lost_lines() == 0);
}

TEST_CASE("base/log_writer: a reader that went away is counted, and does not kill by SIGPIPE") {
  test::TemporaryFolder folder;
  const std::string fifo = folder.file("fifo");
  REQUIRE(mkfifo(fifo.c_str(), 0600) == 0);
  const int reader = open(fifo.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  LogRing ring(1024);
  LogWriter writer;
  writer.add(ring, *writer.open(fifo));
  close(reader);
  ring.push("a\nb\n");
  writer.start();
  CHECK(becomes_true([&] { return writer.lost_lines() == 2; }));
  CHECK(writer.write_errors() == 1);
}

TEST_CASE("base/log_writer: a full disk costs lines, and the next line starts a line of its own") {
  // A limit on the size of files stands in for the full disk. In a child: it holds for a process.
  test::TemporaryFolder folder;
  const std::string path = folder.file("log");
  const test::Death death = test::die_in_child([&path] {
    signal(SIGXFSZ, SIG_IGN);
    rlimit limit{10, RLIM_INFINITY};
    setrlimit(RLIMIT_FSIZE, &limit);
    LogRing ring(1024);
    LogWriter writer;
    writer.add(ring, *writer.open(path));
    ring.push("12345\n");
    ring.push("6789012\n");
    writer.remove(ring);
    limit.rlim_cur = RLIM_INFINITY;
    setrlimit(RLIMIT_FSIZE, &limit);
    SL_CHECK(writer.write_errors() == 1 && writer.lost_lines() == 1);
    writer.add(ring, *writer.open(path));
    ring.push("next\n");
    writer.remove(ring);
    SL_CHECK(writer.write_errors() == 1);
  });
  CHECK(death.signal == 0);
  CHECK(death.output.find("cannot write") != std::string::npos);
  CHECK(read_file(path) == "12345\n6789\nnext\n");
}
