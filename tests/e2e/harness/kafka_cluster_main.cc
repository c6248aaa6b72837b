// A Kafka cluster of librdkafka's mock brokers, for tests: kafka_cluster [BROKERS]
//
// Prints where it is, then answers each line of stdin with one line, "ok ..." or "error ...", and
// ends with stdin. It keeps what it was given in memory only, and never takes a message for one
// that it has already, however idempotent the producer.
//   topic NAME PARTITIONS            down | up [BROKER]         rtt MILLISECONDS
//   fail API_KEY COUNT ERROR         the next COUNT such requests to any broker
//   put TOPIC KEY TEXT               a message; KEY "-" is none
//   end TOPIC PARTITION              ok OFFSET, that of the next message
//   done GROUP TOPIC PARTITION       ok OFFSET, committed by the group; -1001: none
//   read TOPIC PARTITION OFFSET      ok KEY TRACEPARENT TEXT
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <cstdio>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

constexpr int kTimeoutMs = 10'000;

struct Refusal : std::runtime_error {
  using std::runtime_error::runtime_error;
};

void check(rd_kafka_resp_err_t error) {
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) throw Refusal(rd_kafka_err2str(error));
}

struct Destroy {
  void operator()(rd_kafka_t* client) const {
    rd_kafka_destroy_flags(client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
  }
};
using Client = std::unique_ptr<rd_kafka_t, Destroy>;
using Settings = std::map<std::string, std::string>;

Client make_client(rd_kafka_type_t type, const Settings& settings) {
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  char why[256] = "";
  for (const auto& [name, value] : settings) {
    if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), why, sizeof why) != RD_KAFKA_CONF_OK) {
      throw Refusal(why);
    }
  }
  rd_kafka_t* client = rd_kafka_new(type, conf, why, sizeof why);
  if (client == nullptr) throw Refusal(why);
  return Client(client);
}

class Cluster {
 public:
  explicit Cluster(int brokers)
      : owner_(make_client(RD_KAFKA_PRODUCER, {{"log_level", "0"}})),
        mock_(rd_kafka_mock_cluster_new(owner_.get(), brokers)) {}
  ~Cluster() { rd_kafka_mock_cluster_destroy(mock_); }

  std::string bootstraps() const { return rd_kafka_mock_cluster_bootstraps(mock_); }
  // What the line asks for; "" or what there is to tell.
  std::string run(const std::string& line);

 private:
  std::string put(std::istringstream& words);
  std::string end_of(std::istringstream& words);
  std::string done_by(std::istringstream& words);
  std::string read(std::istringstream& words);
  Client consumer(const std::string& group) const {
    return make_client(RD_KAFKA_CONSUMER, {{"bootstrap.servers", bootstraps()},
                                           {"group.id", group},
                                           {"enable.auto.commit", "false"},
                                           {"fetch.wait.max.ms", "10"},
                                           {"log_level", "0"}});
  }

  Client owner_;
  rd_kafka_mock_cluster_t* mock_;
};

std::string Cluster::run(const std::string& line) {
  std::istringstream words(line);
  std::string verb, name;
  words >> verb;
  int number = -1, count = 0;
  if (verb == "topic" && words >> name >> count) {
    check(rd_kafka_mock_topic_create(mock_, name.c_str(), count, 1));
  } else if (verb == "down") {
    words >> number;
    check(rd_kafka_mock_broker_set_down(mock_, number));
  } else if (verb == "up") {
    words >> number;
    check(rd_kafka_mock_broker_set_up(mock_, number));
  } else if (verb == "rtt" && words >> number) {
    check(rd_kafka_mock_broker_set_rtt(mock_, -1, number));
  } else if (verb == "fail" && words >> number >> count) {
    int error = 0;
    words >> error;
    const std::vector<rd_kafka_resp_err_t> errors(static_cast<size_t>(count),
                                                  static_cast<rd_kafka_resp_err_t>(error));
    rd_kafka_mock_push_request_errors_array(mock_, static_cast<int16_t>(number), errors.size(),
                                            errors.data());
  } else if (verb == "put") {
    return put(words);
  } else if (verb == "end") {
    return end_of(words);
  } else if (verb == "done") {
    return done_by(words);
  } else if (verb == "read") {
    return read(words);
  } else {
    throw Refusal("what is " + line);
  }
  return {};
}

std::string Cluster::put(std::istringstream& words) {
  std::string topic, key, text;
  words >> topic >> key >> std::ws;
  std::getline(words, text);
  const char* key_bytes = key == "-" ? nullptr : key.data();
  const size_t key_size = key == "-" ? 0 : key.size();
  const Client client =
      make_client(RD_KAFKA_PRODUCER, {{"bootstrap.servers", bootstraps()}, {"log_level", "0"}});
  check(rd_kafka_producev(client.get(), RD_KAFKA_V_TOPIC(topic.c_str()),
                          RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                          RD_KAFKA_V_KEY(key_bytes, key_size),
                          RD_KAFKA_V_VALUE(text.data(), text.size()), RD_KAFKA_V_END));
  check(rd_kafka_flush(client.get(), kTimeoutMs));
  return {};
}

std::string Cluster::end_of(std::istringstream& words) {
  std::string topic;
  int partition = 0;
  words >> topic >> partition;
  int64_t low = 0, high = 0;
  check(rd_kafka_query_watermark_offsets(consumer("watcher").get(), topic.c_str(), partition, &low,
                                         &high, kTimeoutMs));
  return std::to_string(high);
}

std::string Cluster::done_by(std::istringstream& words) {
  std::string group, topic;
  int partition = 0;
  words >> group >> topic >> partition;
  const std::unique_ptr<rd_kafka_topic_partition_list_t,
                        decltype(&rd_kafka_topic_partition_list_destroy)>
      list(rd_kafka_topic_partition_list_new(1), rd_kafka_topic_partition_list_destroy);
  rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), partition);
  check(rd_kafka_committed(consumer(group).get(), list.get(), kTimeoutMs));
  return std::to_string(list->elems[0].offset);
}

std::string text_or_dash(const void* bytes, size_t size) {
  return bytes == nullptr || size == 0 ? "-" : std::string(static_cast<const char*>(bytes), size);
}

std::string Cluster::read(std::istringstream& words) {
  std::string topic;
  int partition = 0;
  int64_t offset = 0;
  words >> topic >> partition >> offset;
  const Client client = consumer("watcher");
  const std::unique_ptr<rd_kafka_topic_partition_list_t,
                        decltype(&rd_kafka_topic_partition_list_destroy)>
      list(rd_kafka_topic_partition_list_new(1), rd_kafka_topic_partition_list_destroy);
  rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), partition)->offset = offset;
  check(rd_kafka_assign(client.get(), list.get()));
  const std::unique_ptr<rd_kafka_message_t, decltype(&rd_kafka_message_destroy)> message(
      rd_kafka_consumer_poll(client.get(), kTimeoutMs), rd_kafka_message_destroy);
  if (message == nullptr) throw Refusal("no message");
  check(message->err);
  rd_kafka_headers_t* headers = nullptr;
  const void* value = nullptr;
  size_t size = 0;
  if (rd_kafka_message_headers(message.get(), &headers) == RD_KAFKA_RESP_ERR_NO_ERROR) {
    rd_kafka_header_get_last(headers, "traceparent", &value, &size);
  }
  return text_or_dash(message->key, message->key_len) + " " + text_or_dash(value, size) + " " +
         text_or_dash(message->payload, message->len);
}

}  // namespace

int main(int argc, char** argv) {
  Cluster cluster(argc > 1 ? std::stoi(argv[1]) : 1);
  const auto say = [](const std::string& line) { std::cout << line << std::endl; };
  say(cluster.bootstraps());
  for (std::string line; std::getline(std::cin, line);) {
    try {
      say("ok " + cluster.run(line));
    } catch (const Refusal& refusal) {
      say(std::string("error ") + refusal.what());
    }
  }
}
