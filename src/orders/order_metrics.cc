#include "sluice/orders/order_metrics.h"

#include <cstdlib>

#include "sluice/orders/version.h"
#include "sluice/stats/prometheus.h"

namespace sluice::orders {
namespace {

using stats::MetricType;
using stats::PrometheusWriter;

void write_api(PrometheusWriter& out, const StatusFacts& facts, const ApiCounts& counts) {
  out.family("sluice_orders_info", MetricType::gauge, "This backend's name and version");
  out.sample({{"name", facts.name}, {"version", kVersion}}, uint64_t{1});
  out.family("sluice_orders_answers_total", MetricType::counter,
             "Orders this process accepted, or answered again to a known Idempotency-Key");
  out.sample({{"result", "accepted"}}, counts.accepted);
  out.sample({{"result", "replayed"}}, counts.replayed);
  out.family("sluice_orders_refusals_total", MetricType::counter,
             "Requests this process refused, by the word of the problem");
  for (size_t i = 0; i < counts.refused.size(); ++i) {
    out.sample({{"problem", problem_row(static_cast<Problem>(i)).word}}, counts.refused[i]);
  }
  out.family("sluice_orders_waiting_writes", MetricType::gauge,
             "Writes of this process that wait for the database");
  out.sample({}, static_cast<uint64_t>(facts.waiting_writes));
}

void write_events(PrometheusWriter& out, const Totals& totals) {
  out.family("sluice_orders_outbox_events", MetricType::gauge,
             "Events in the outbox that are not sent, or not handled with the embedded queue");
  out.sample({}, totals.outbox);
  out.family("sluice_orders_outbox_oldest_seconds", MetricType::gauge, "Age of the oldest of them");
  out.sample({}, to_seconds(totals.outbox_oldest));
  out.family("sluice_orders_parked_events", MetricType::gauge,
             "Events that could not be handled and wait for people");
  out.sample({}, totals.parked);
}

void write_gate(PrometheusWriter& out, const GateFacts& gate) {
  out.family("sluice_orders_gate_open", MetricType::gauge,
             "1 while orders of this process go through the stock gate");
  out.sample({}, static_cast<uint64_t>(gate.state == "open" ? 1 : 0));
  out.family("sluice_orders_gate_drift_units", MetricType::gauge,
             "Units by which stock gate and database disagree, as last compared");
  out.sample({}, gate.drift);
  out.family("sluice_orders_gate_untold", MetricType::gauge,
             "Ends of orders that Redis has not heard of yet");
  out.sample({}, static_cast<uint64_t>(gate.untold));
  out.family("sluice_orders_gate_orders_total", MetricType::counter,
             "What became of orders of this process at the stock gate");
  out.sample({{"result", "reserved"}}, gate.counts.reserved);
  out.sample({{"result", "sold_out"}}, gate.counts.sold_out);
  out.sample({{"result", "sold_out_from_memory"}}, gate.counts.from_memory);
  out.sample({{"result", "user_limit"}}, gate.counts.limited);
  out.sample({{"result", "past"}}, gate.counts.past);
  out.sample({{"result", "refused"}}, gate.counts.refused);
  out.family("sluice_orders_gate_returned_total", MetricType::counter,
             "Reservations that this process gave back since nobody had ended them");
  out.sample({}, gate.counts.returned);
  out.family("sluice_orders_gate_lowered_units_total", MetricType::counter,
             "Units that this process took from the gate since the database does not have them");
  out.sample({}, gate.counts.lowered);
  out.family("sluice_orders_gate_built_total", MetricType::counter,
             "How often this process built the gate from the database");
  out.sample({}, gate.counts.built);
}

}  // namespace

std::string metrics_text(const StatusFacts& facts, const ApiCounts& counts, const Totals& totals,
                         const std::vector<MetricsPart>& more) {
  PrometheusWriter out;
  write_api(out, facts, counts);
  out.family("sluice_orders_orders", MetricType::gauge, "Orders in the database by state");
  for (const auto& [state, count] : with_all_states(totals.orders)) {
    out.sample({{"state", state}}, count);
  }
  out.family("sluice_orders_stock_units", MetricType::gauge, "Units of each product");
  int64_t drift = 0;
  for (const StockTotals& stock : totals.stock) {
    drift += std::abs(stock.drift()) + std::abs(stock.ledger_drift());
    out.sample({{"product", stock.product_id}, {"kind", "supplied"}}, stock.supplied);
    out.sample({{"product", stock.product_id}, {"kind", "available"}}, stock.available);
    out.sample({{"product", stock.product_id}, {"kind", "held"}}, stock.held);
    out.sample({{"product", stock.product_id}, {"kind", "sold"}}, stock.sold);
  }
  out.family("sluice_orders_drift_units", MetricType::gauge,
             "Units by which stock, orders and ledger disagree; 0 when all is well");
  out.sample({}, drift);
  write_events(out, totals);
  if (totals.gate) write_gate(out, *totals.gate);
  for (const MetricsPart& part : more) part(out);
  return out.take();
}

}  // namespace sluice::orders
