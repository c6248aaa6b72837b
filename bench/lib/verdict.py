"""What the flash sale left in the database, held against what the buyers were told."""

import json

EVENTS_OF_AN_ORDER = 3  # accepted, paid, shipped


def number(the_shop, statement):
    return int(the_shop.database.rows(statement)[0][0])


def percentile(times, share):
    return round(sorted(times)[min(len(times) - 1, int(len(times) * share))] * 1000, 1) if times else None


def figures(the_shop, sale, status):
    """By the database itself, but for what the buyers measured."""
    count = lambda statement: number(the_shop, statement)  # noqa: E731
    ids = {row[0] for row in the_shop.database.rows("SELECT id FROM orders")}
    told = list(sale.orders.values())
    return {
        "buyers": len(told) + sale.sold_out,
        "told_sold": len(told),
        "told_sold_out": sale.sold_out,
        "asked_again": dict(sorted(sale.retries.items())),
        "orders": len(ids),
        "units_sold": count("SELECT COALESCE(SUM(quantity), 0) FROM order_items"),
        "shipped": count("SELECT COUNT(*) FROM orders WHERE status = 'shipped'"),
        "stock_left": count("SELECT COALESCE(SUM(available), 0) FROM stock"),
        "ledger_sum": count("SELECT COALESCE(SUM(delta), 0) FROM stock_ledger"),
        "ledger_sold": -count("SELECT COALESCE(SUM(delta), 0) FROM stock_ledger WHERE reason = 'order'"),
        "told_but_missing": len([id_ for id_ in told if id_ not in ids]),
        "there_but_not_told": len(ids.difference(told)),
        "duplicates": len(told) - len(set(told)),
        "events": count("SELECT COUNT(*) FROM outbox"),
        "events_unsent": count("SELECT COUNT(*) FROM outbox WHERE sent_ms IS NULL"),
        "handled": count("SELECT COUNT(*) FROM inbox"),
        "handled_twice": count("SELECT COUNT(*) - COUNT(DISTINCT event_id) FROM inbox"),
        "states": count("SELECT COUNT(*) FROM order_states"),
        "parked": count("SELECT COUNT(*) FROM parked"),
        "drift": status["drift"],
        "p50_sold_ms": percentile(sale.times_sold, 0.5),
        "p99_sold_ms": percentile(sale.times_sold, 0.99),
        "p50_sold_out_ms": percentile(sale.times_sold_out, 0.5),
        "p99_sold_out_ms": percentile(sale.times_sold_out, 0.99),
    }


def problems(options, found, sale, striker, kinds, times):
    """What does not hold."""
    bad = list(sale.problems[:10]) + [f"a fault could not be carried out: {error}" for error in striker.errors]
    wanted = {"orders": options.units, "units_sold": options.units, "told_sold": options.units, "shipped": options.units,
              "buyers": options.units * options.demand, "stock_left": 0, "ledger_sum": 0, "ledger_sold": options.units,
              "told_but_missing": 0, "there_but_not_told": 0, "duplicates": 0, "events": EVENTS_OF_AN_ORDER * options.units,
              "events_unsent": 0, "handled": EVENTS_OF_AN_ORDER * options.units, "handled_twice": 0,
              "states": EVENTS_OF_AN_ORDER * options.units, "parked": 0, "drift": 0}
    bad += [f"{name} is {found[name]:,}, not {value:,}" for name, value in wanted.items() if found[name] != value]
    for kind in kinds:
        blows = [b for b in striker.blows if b.kind == kind and b.sold < options.units]
        if len(blows) < times:
            bad.append(f"{kind}: killed {len(blows)} times during the sale, not {times}")
    return bad


def show(found, striker):
    for kind in sorted({blow.kind for blow in striker.blows}):
        at = ", ".join(f"{blow.at:.1f} s" for blow in sorted(striker.blows, key=lambda b: b.at) if blow.kind == kind)
        print(f"{'killed ' + kind:<20} {at}")
    for name, value in found.items():
        print(f"{name:<20} {json.dumps(value) if isinstance(value, dict) else value}")
