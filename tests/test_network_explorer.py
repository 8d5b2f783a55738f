"""The network trained in the page: its numbers against JAX, its handles in a browser."""

import functools
import json
import warnings

import numpy as np
import pytest

import gdbook as gd
from gdbook.networks import MultilayerPerceptron, NetworkLoss, train
from gdbook.widgets.network_explorer import initial
from tests.figure_page import drag, picture, place, state, status, work_meter

pytest.importorskip("jax")
DONE = "document.querySelector('[data-live]').liveFigure.timings.full !== undefined"
SMALL = {"degree": 3, "widths": (8, 6), "time": 60}


@functools.cache
def explorer(**settings):
    return gd.widgets.NetworkExplorer(**settings)


def small(**settings):
    return explorer(**{**SMALL, **settings})


def loss_of(widths, degree=3):
    network = MultilayerPerceptron([1, *widths, 1], activation="tanh")
    return NetworkLoss(network, *gd.data.chebyshev(degree), loss="squared")


@pytest.fixture
def node(node):
    """Run a script in Node with what the worker has, and `problem(widths, degree)`."""
    modules = """
        import { Network, Spectrum, TOLERANCE, CentralFlow } from "./worker.mjs";
        import { Run, initial, tanh } from "./worker.mjs";
        const xs = Array.from({ length: 20 }, (_, i) => -1 + (2 * i) / 19);
        const problem = (widths, degree, seed = 1) => ({
          widths: [1, ...widths, 1], features: xs, seed, grid: [-1, 0, 1],
          targets: xs.map((x) => Math.cos(degree * Math.acos(x))),
        });
        const finish = (run) => {
          while (!run.done) run.advance();
          return run;
        };
    """
    return lambda script, data: node(modules + script, data, worker=small()._texts["worker"])


# The engine's numbers are the package's


def test_the_start_of_a_number_is_that_of_python(node):
    script = "const result = data.map(([n, ...w]) => [...initial(new Network(w, [0], [0]), n)]);"
    cases = [[1, 1, 30, 20, 1], [2, 1, 5, 1], [99, 1, 3, 4, 5, 1]]
    starts = node(script, cases)
    for (number, *widths), start in zip(cases, starts, strict=True):
        assert start == pytest.approx(initial(widths, number), rel=1e-12, abs=1e-15)
    weights = np.array(starts[0][60:660]) * 30**0.5
    assert abs(weights.mean()) < 0.15 and weights.std() == pytest.approx(1, abs=0.1)
    assert len(set(starts[0])) == 30 + 600 + 20 + 1  # the biases are alike


def test_tanh_is_that_of_numpy_to_the_last_digits(node):
    x = np.concatenate([np.linspace(-30, 30, 4001), [0.0, 1e-300, -1e-9, 1e-5, 800, -1e300]])
    ours = node("const result = data.map(tanh);", x.tolist())
    np.testing.assert_allclose(ours, np.tanh(x), rtol=1e-15, atol=0)
    odd = node("const result = [Infinity, -Infinity, NaN].map(tanh).map(String);", None)
    assert odd == ["1", "-1", "NaN"]


@pytest.mark.parametrize(
    "widths, samples", [([1, 30, 20, 1], 20), ([3, 5, 2], 7), ([2, 3, 4, 5, 1], 9), ([1, 1, 1], 1)]
)
def test_gradients_and_hessian_products_are_those_of_jax(widths, samples, node):
    rng = np.random.default_rng(3)
    network = MultilayerPerceptron(widths, activation="tanh")
    features = rng.standard_normal((samples, widths[0]))
    targets = rng.standard_normal((samples, widths[-1]))
    loss = NetworkLoss(network, features, targets, loss="squared")
    points = rng.standard_normal((3, 2, network.dimension))
    found = node(
        """
        const network = new Network(data.widths, data.features, data.targets);
        const empty = () => new Float64Array(network.dimension).fill(9);
        const result = data.points.map(([w, v]) => {
          const [slope, product] = [empty(), empty()];
          const value = network.gradient(Float64Array.from(w), slope);
          network.hessianProduct(Float64Array.from(w), Float64Array.from(v), product);
          return { value, slope: [...slope], product: [...product] };
        });""",
        {
            "widths": widths,
            "features": features.T.ravel().tolist(),
            "targets": targets.T.ravel().tolist(),
            "points": points.tolist(),
        },
    )
    for (w, v), ours in zip(points, found, strict=True):
        assert ours["value"] == pytest.approx(float(loss.value(w)), rel=1e-12)
        np.testing.assert_allclose(ours["slope"], loss.gradient(w), rtol=1e-10, atol=1e-12)
        product = loss.hessian_product(w, v)
        np.testing.assert_allclose(ours["product"], product, rtol=1e-10, atol=1e-12)


RUN = """
    const { widths, degree, ...settings } = data;
    const run = finish(new Run(problem(widths, degree), settings));
    const series = Object.entries(run.series).map(([name, part]) => [name, [...part]]);
    const result = Object.fromEntries(series);
"""


def test_a_stable_run_is_that_of_jax_all_the_way(node):
    ours = node(RUN, {"widths": [8, 6], "degree": 3, "rate": 0.05, "steps": 1500, "every": 20})
    run = train(loss_of((8, 6)), initial([1, 8, 6, 1], 1), 0.05, 1500, 1500, 20)
    np.testing.assert_allclose(ours["losses"], run.losses, rtol=1e-9)
    tops = np.array(ours["top"], dtype=float)[::20]
    np.testing.assert_allclose(tops, run.sharpness, rtol=0.01)
    assert (run.sharpness < 40).all()


def test_a_run_at_the_edge_begins_as_in_jax_and_hovers_as_in_jax(node):
    ours = node(RUN, {"widths": [30, 20], "degree": 6, "rate": 0.2, "steps": 3000, "every": 5})
    run = train(loss_of((30, 20), 6), initial([1, 30, 20, 1], 1), 0.2, 3000, 3000, 5)
    np.testing.assert_allclose(ours["losses"][:100], run.losses[:100], rtol=1e-9)
    tops = np.array(ours["top"], dtype=float)[::5]
    np.testing.assert_allclose(tops[:20], run.sharpness[:20], rtol=0.01)
    # rounding decides on which side of the valley a spike begins; what comes after is the same
    hovering = [tops[450:].mean(), run.sharpness[450:].mean()]
    assert hovering == pytest.approx([10, 10], rel=0.03)
    assert max(ours["losses"]) > 2 * ours["losses"][0] * 0.9
    fall = [np.mean(ours["losses"][-100:]), run.losses[-100:].mean()]
    assert fall[0] == pytest.approx(fall[1], rel=0.2) and fall[0] < 0.1


def test_both_eigenvalues_are_right_to_one_per_cent_at_every_step(node):
    """Against all eigenvalues of the whole Hessian, also where they cross and where it jumps."""
    ours = node(
        """
        const run = new Run(problem([8, 6], 3), { rate: 0.5, steps: 600, every: 1 });
        const result = [];
        for (let k = 0; k < 600; k++) {
          const w = [...run.w];
          run.advance();
          if (k % 3 === 0) result.push([w, run.series.top[k], run.series.second[k]]);
        }""",
        None,
    )
    loss = loss_of((8, 6))
    worst = 0
    for w, *found in ours:
        products = loss.hessian_product(np.array(w), np.eye(len(w)))
        largest = np.linalg.eigvalsh((products + products.T) / 2)[:-3:-1]
        worst = max(worst, np.abs(np.array(found) / largest - 1).max())
    assert worst < 0.01
    tops = np.array([top for _, top, _ in ours])
    assert tops.max() > 4 > tops.min()  # on both sides of the edge


def test_the_spectrum_sees_an_eigenvalue_that_overtakes(node):
    """Diagonal matrices with one entry that grows: nothing but itself leads to its vector."""
    entries = np.tile(np.linspace(-1, 1, 60), (400, 1))
    entries[:, :2] = 3, 2.5
    entries[100:, 10] = np.linspace(-0.6, 4, 300)
    found = node(
        """
        const spectrum = new Spectrum(60, 2);
        const result = data.map((entries) => {
          const product = (v, out) => entries.forEach((d, i) => (out[i] = d * v[i]));
          spectrum.update(product, TOLERANCE);
          return [...spectrum.values];
        });""",
        entries.tolist(),
    )
    np.testing.assert_allclose(found, np.sort(entries, axis=1)[:, :-3:-1], rtol=0.01)


def test_the_spectrum_of_small_repeated_and_lost_matrices(node):
    found = node(
        """
        const of = (entries, count) => {
          const spectrum = new Spectrum(entries.length, count);
          const product = (v, out) => entries.forEach((d, i) => (out[i] = d * v[i]));
          return [spectrum.update(product, 1e-8), [...spectrum.values]];
        };
        const result = data.map(([count, ...entries]) => of(entries.map((d) => d ?? NaN), count));
        """,
        [[1, 5], [2, 1, 2], [2, 3, 3, 3, 1], [2, 0, 0, 0], [2, 1, None, 1]],
    )
    assert [fine for fine, _ in found] == [True, True, True, True, False]
    assert found[0][1] == pytest.approx([5]) and found[1][1] == pytest.approx([2, 1])
    assert found[2][1] == pytest.approx([3, 3]) and found[3][1] == [0, 0]
    assert found[4][1] == [None, None]


# The central flow where it is known: ½ Σ wᵢ vᵢ² + μ/2 Σ (wᵢ − cᵢ)² has the eigenvalues wᵢ on v = 0

TOY = """
    class Toy {
      constructor(mu, centres) {
        Object.assign(this, { mu, centres, dimension: 2 * centres.length });
      }

      gradient(x, out) {
        this.x = Float64Array.from(x);
        let value = 0;
        this.centres.forEach((c, i) => {
          const [w, v] = [x[2 * i], x[2 * i + 1]];
          value += 0.5 * w * v * v + 0.5 * this.mu * (w - c) ** 2;
          out[2 * i] = 0.5 * v * v + this.mu * (w - c);
          out[2 * i + 1] = w * v;
        });
        return value;
      }

      hessianProduct(x, d, out) {
        this.centres.forEach((_, i) => {
          const [w, v] = [this.x[2 * i], this.x[2 * i + 1]];
          out[2 * i] = this.mu * d[2 * i] + v * d[2 * i + 1];
          out[2 * i + 1] = v * d[2 * i] + w * d[2 * i + 1];
        });
      }
    }
    const toy = new Toy(data.mu, data.centres);
    const start = data.centres.flatMap(() => [data.from, 0]);
    const flow = new CentralFlow(toy, start, data.rate);
    for (let k = 0; k < data.steps; k++) flow.advance();
    const { values } = flow.spectrum;
    const result = {
      w: [...flow.w],
      values: [...values],
      held: flow.held,
      average: flow.averageLoss,
      loss: flow.loss,
      variances: flow.variances.map((row) => [...row]),
      widest: flow.widest(new Float64Array(toy.dimension)),
    };
"""


def toy(node, centres, steps=3000):
    return node(TOY, {"mu": 0.01, "centres": centres, "rate": 0.1, "from": 19.5, "steps": steps})


def test_one_eigenvalue_is_held_at_the_edge_by_the_known_variance(node):
    found = toy(node, [24])
    assert found["values"][0] == pytest.approx(20, rel=1e-6) and found["held"] == 1
    assert found["variances"][0][0] == pytest.approx(2 * 0.01 * (24 - 20), rel=1e-5)
    assert found["w"] == pytest.approx([20, 0], abs=1e-5)
    assert found["widest"] == pytest.approx(0.08**0.5, rel=1e-5)
    assert found["average"] - found["loss"] == pytest.approx(0.08 / 0.1, rel=1e-5)


def test_two_eigenvalues_are_held_together(node):
    found = toy(node, [24, 22])
    assert found["values"][:2] == pytest.approx([20, 20], rel=1e-5) and found["held"] == 2
    variances = np.linalg.eigvalsh(found["variances"])
    assert variances == pytest.approx([0.04, 0.08], rel=1e-3)
    assert found["widest"] == pytest.approx(0.08**0.5, rel=1e-3)


def test_below_the_edge_the_central_flow_is_gradient_flow(node):
    found = toy(node, [19.8, 10], steps=4000)
    assert not np.any(found["variances"]) and found["average"] == found["loss"]
    exact = np.array([19.8, 10]) + (19.5 - np.array([19.8, 10])) * np.exp(-0.01 * 0.1 * 4000)
    assert found["w"][::2] == pytest.approx(exact, rel=1e-3)


def test_the_flow_predicts_the_oscillation_of_a_real_network(node):
    """In the settled stretch, the iterates lie to either side at the predicted deviation."""
    settings = {"widths": [30, 20], "degree": 6, "rate": 0.2, "steps": 3000, "every": 20}
    found = node(RUN, {**settings, "flow": True})
    part = slice(2300, 3000)
    across, deviation = (np.array(found[name][part], float) for name in ("across", "deviation"))
    assert (np.sign(across[1:]) == -np.sign(across[:-1])).mean() > 0.99
    assert np.mean(across**2) == pytest.approx(np.mean(deviation**2), rel=0.1)
    assert np.mean(found["flowLosses"][part]) == pytest.approx(
        np.mean(found["losses"][part]), rel=0.1
    )
    assert np.array(found["flowTop"][part], float) == pytest.approx(10, rel=1e-3)
    assert np.mean(found["flowLosses"][:200]) == pytest.approx(
        np.mean(found["losses"][:200]), rel=0.02
    )


def test_after_a_catapult_the_flow_begins_below_the_edge(node):
    settings = {"widths": [30, 20], "degree": 6, "rate": 0.4, "steps": 60, "every": 1}
    found = node(RUN, {**settings, "flow": True})
    tops = np.array(found["top"], float)
    assert tops[0] > 5
    first = next(k for k, value in enumerate(found["flowTop"]) if value is not None)
    assert first == np.flatnonzero(tops < 5)[0] > 0


def test_a_run_that_diverges_ends_there(node):
    found = node(RUN, {"widths": [8, 6], "degree": 3, "rate": 4, "steps": 400, "every": 1})
    losses = np.array(found["losses"], float)
    assert np.nanmax(losses) > 1e6 and np.isnan(losses[-1])


# What Python sends


def test_the_defaults_and_the_words():
    figure = small()
    assert (figure.learning_rate, figure.widths, figure.start) == (0.2, [8, 6], 1)
    assert "1-8-6-1" in figure._alt and "learning rate 0.2" in figure._alt
    assert set(figure._texts) == {"worker"}


@pytest.mark.parametrize("settings", [{"learning_rate": 1.0}, {"learning_rate": 0.4}])
def test_stills_are_drawn_in_silence_and_alike(settings):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = gd.widgets.NetworkExplorer(**SMALL, **settings)
    assert figure._still == small(**settings)._still


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"learning_rate": 2}, "learning_rate must be between 0.02 and 1, not 2"),
        ({"learning_rate": "a"}, "learning_rate"),
        ({"widths": (1, 20)}, "widths must be between 2 and 64, not 1"),
        ({"widths": ()}, "widths must be one to three numbers, not 0"),
        ({"widths": (2, 2, 2, 2)}, "widths must be one to three numbers, not 4"),
        ({"start": 0}, "start"),
        ({"start": 100}, "start must be between 1 and 99, not 100"),
        ({"degree": 10}, "degree must be between 1 and 9, not 10"),
        ({"time": 5}, "time must be between 10 and 2000, not 5"),
    ],
)
def test_bad_settings_are_named(settings, words):
    with pytest.raises((ValueError, TypeError), match=words):
        gd.widgets.NetworkExplorer(**settings)


# In a browser


def test_losses_and_sharpness_in_the_page_are_those_of_jax(show):
    """All the way below the edge; beyond it until rounding has grown to what can be seen."""
    page = show(small())
    page.wait_for_function(DONE)
    hand, loss, start = state(page)["hand"], loss_of((8, 6)), initial([1, 8, 6, 1], 1)
    assert (hand["k"], hand["steps"], hand["done"], hand["lost"]) == (301, 300, True, False)
    run = train(loss, start, 0.2, 150, 150, 1)
    np.testing.assert_allclose(hand["losses"][:151], run.losses, rtol=1e-9)
    np.testing.assert_allclose(hand["top"][:151], run.sharpness, rtol=0.01)
    assert max(run.sharpness) > 10 > hand["top"][0]
    page.wait_for_function(
        "document.querySelector('[data-live]').liveFigure.state().others.every((one) => one.done)"
    )
    others = state(page)["others"]
    assert [one["rate"] for one in others] == [0.05, 0.1, 0.4]
    for one, steps in zip(others, (1200, 600, 50), strict=True):
        run = train(loss, start, one["rate"], steps, steps)
        assert one["steps"] == round(60 / one["rate"])
        np.testing.assert_allclose(one["losses"][: steps + 1], run.losses, rtol=1e-9)


def test_a_run_that_is_stable_is_that_of_jax_to_its_last_picture(show):
    page = show(small(learning_rate=0.05))
    page.wait_for_function(DONE)
    hand, last = state(page)["hand"], state(page)["picture"]
    loss = loss_of((8, 6))
    run = train(loss, initial([1, 8, 6, 1], 1), 0.05, 1200, 1200, 10)
    np.testing.assert_allclose(hand["losses"], run.losses, rtol=1e-9)
    np.testing.assert_allclose(hand["top"][::10], run.sharpness, rtol=0.01)
    grid = np.linspace(-1, 1, 141)[:, None]
    assert last["k"] == 1200
    outputs = loss.network.outputs(run.points[-1], grid)[:, 0]
    np.testing.assert_allclose(last["outputs"], outputs, rtol=1e-8, atol=1e-9)


def test_status_is_true(show):
    page = show(small(learning_rate=0.05))
    page.wait_for_function(DONE)
    words, hand = state(page) and status(page), state(page)["hand"]
    assert words.startswith("Below the edge, getting sharper. Step 1200 of 1200, time 60: loss ")
    assert f"= {hand['top'][-1] / 40:.3f} × 2/h" in words and "steps a second" in words
    page.evaluate("model.set('learning_rate', 1)")
    page.wait_for_function(DONE)
    assert state(page)["hand"]["steps"] == 60
    page.evaluate("model.set('shown', 0)")
    state(page)
    assert "Step 0 of 60, time 0: loss " in status(page)
    page.evaluate("model.set('shown', 0.5)")
    state(page)
    assert "Step 30 of 60, time 30: loss " in status(page)


def test_the_line_of_the_edge_is_dragged_and_moved_by_keys(show):
    page = show(small())
    page.wait_for_function(DONE)
    edge = page.locator("canvas").nth(2)
    for share in np.linspace(0.02, 0.98, 97):
        page.mouse.move(*place(page, 2, 0.5, share))
        if edge.evaluate("(canvas) => canvas.style.cursor") == "grab":
            break
    drag(page, place(page, 2, 0.5, share), place(page, 2, 0.5, share + 0.1))
    higher = state(page)["learning_rate"]
    assert higher < 0.18
    edge.focus()
    page.keyboard.press("ArrowDown")
    assert state(page)["learning_rate"] > higher
    page.keyboard.press("Shift+ArrowUp")
    assert state(page)["learning_rate"] < higher
    for _ in range(40):
        page.keyboard.press("Shift+ArrowDown")
    assert state(page)["learning_rate"] == 1


def test_time_is_dragged_and_moved_by_keys(show):
    page = show(small())
    page.wait_for_function(DONE)
    before = [picture(page, i) for i in range(4)]
    drag(page, place(page, 0, 0.9, 0.5), place(page, 0, 0.25, 0.5))
    shown = state(page)["shown"]
    assert shown == pytest.approx(0.25, abs=0.01)
    assert all(picture(page, i) != one for i, one in enumerate(before))
    assert f"Step {round(300 * shown)} of 300, time {0.2 * round(300 * shown):g}: " in status(page)
    page.locator("canvas").first.focus()
    page.keyboard.press("ArrowLeft")
    assert state(page)["shown"] == pytest.approx(shown - 0.01)
    page.keyboard.press("Shift+ArrowRight")
    assert state(page)["shown"] == pytest.approx(shown + 0.09)


def test_pause_one_step_and_play(show):
    page = show(explorer())
    button = page.get_by_role("button", name="Pause")
    button.click()
    page.wait_for_timeout(100)
    held = state(page)["hand"]["k"]
    page.wait_for_timeout(100)
    assert state(page)["hand"]["k"] == held < 3500
    assert page.get_by_role("button", name="Play").count() == 1
    page.get_by_role("button", name="One step").click()
    page.wait_for_function(
        f"document.querySelector('[data-live]').liveFigure.state().hand.k === {held + 1}"
    )
    page.get_by_role("button", name="Play").click()
    page.wait_for_function(
        f"document.querySelector('[data-live]').liveFigure.state().hand.k > {held + 20}"
    )


def test_play_begins_anew_when_all_is_done(show):
    page = show(small())
    page.wait_for_function(DONE)
    before = state(page)["hand"]["losses"]
    page.get_by_role("button", name="Play").click()
    page.wait_for_function(DONE)
    assert state(page)["hand"]["losses"] == before


def test_a_newer_wish_ends_the_work_on_the_one_before(show):
    page = show(small())
    page.evaluate("""async () => {
        for (let i = 1; i <= 12; i++) {
          model.set("start", i);
          model.set("widths", [8, 4 + i]);
          await new Promise((r) => setTimeout(r, 15));
        }
    }""")
    page.wait_for_function(DONE)
    hand = state(page)["hand"]
    assert state(page)["start"] == 12 and state(page)["widths"] == [8, 16]
    assert hand["done"] and hand["k"] == 301
    run = train(loss_of((8, 16)), initial([1, 8, 16, 1], 12), 0.2, 60, 60)
    np.testing.assert_allclose(hand["losses"][:61], run.losses, rtol=1e-9)


def test_input_never_waits_and_a_frame_is_drawn_in_time(show):
    page = show(explorer())
    page.wait_for_timeout(1500)  # in the midst of the work
    worked = work_meter(page)
    before = worked()
    result = page.evaluate(
        """async () => {
          const { timings } = document.querySelector("[data-live]").liveFigure;
          const waits = [];
          for (let i = 0; i < 10; i++) {
            model.set("learning_rate", 0.2 + 0.01 * i);
            const asked = performance.now();
            await twoFrames();
            waits.push(performance.now() - asked);
          }
          return { waits, redraw: timings.redraw.slice(-20) };
        }"""
    )
    result["main thread"] = (worked() - before) / 10
    before, turns = worked(), 20
    page.evaluate(
        """async (turns) => {
          for (let i = 0; i < turns; i++) {
            model.set("shown", 0.5 + 0.01 * i);
            await twoFrames();
          }
        }""",
        turns,
    )
    result["frame"] = (worked() - before) / (2 * turns)  # all that is computed from one to the next
    print(json.dumps(result))
    # computing time of the page's own thread, which a busy machine does not change
    assert result["main thread"] < 60 and result["frame"] < 16
    # times on the clock have room for a machine that does other things as well
    assert min(result["waits"]) < 60 and min(result["redraw"]) < 16


def test_reduced_motion_has_no_play_and_few_drawings(show):
    page = show(small(), reduced_motion="reduce")
    page.wait_for_function(DONE)
    assert state(page)["hand"]["done"]
    assert not page.get_by_role("button", name="Play").is_visible()
    assert not page.get_by_role("button", name="Pause").is_visible()
    drawings = page.evaluate(
        "document.querySelector('[data-live]').liveFigure.timings.redraw.length"
    )
    assert drawings <= 24


def test_the_address_carries_the_state(show):
    shared = "#live-1?learning_rate=0.35&widths=5,12&start=7&shown=0.5"
    found = state(show(small(), shared=shared))
    assert (found["learning_rate"], found["widths"]) == (0.35, [5, 12])
    assert (found["start"], found["shown"]) == (7, 0.5)


@pytest.mark.parametrize(
    "address",
    [
        "#live-1?learning_rate=1e9&widths=8&start=0&shown=2",
        "#live-1?learning_rate=NaN&widths=8,1e6&start=1.5&shown=-1",
        "#live-1?learning_rate=0&widths=2.5,8&start=<script>&shown=",
        "#live-1?learning_rate=-0.2&widths=8,6,4&start=100&shown=Infinity",
        "#live-2?learning_rate=0.35",
    ],
)
def test_nonsense_in_the_address_is_not_believed(address, show):
    found = state(show(small(), shared=address))
    assert (found["learning_rate"], found["widths"]) == (0.2, [8, 6])
    assert (found["start"], found["shown"]) == (1, 1)


def test_everything_is_reached_by_keys_alone(show):
    page = show(small())
    before, seen = state(page), []
    for _ in range(13):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.tagName"))
        if seen[-1] == "CANVAS":
            page.keyboard.press("ArrowLeft")
            page.keyboard.press("ArrowDown")
    assert (seen.count("CANVAS"), seen.count("INPUT"), seen.count("BUTTON")) == (2, 8, 3)
    after = state(page)
    assert after["shown"] < before["shown"]
    assert after["learning_rate"] != before["learning_rate"]


def test_the_figure_goes_without_a_trace(show):
    page = show(small())
    page.evaluate("window.stop()")
    page.evaluate("model.set('start', 3)")
    page.wait_for_timeout(50)
    assert page.locator("[data-live]").count() == 0
