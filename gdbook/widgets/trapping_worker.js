// What becomes of many starts in a square. Python joins the text of the formula, of the outcome and of the starts in front of it,
// so `step`, `outcomeOf` and `starts` are in scope and the worker imports nothing. The starts are those of the square
// [−1, 1]², x₀, y₀, x₁, y₁, ...; a square of the half-width `reach` has them `reach` times as far out.
//
// A message { job, part, parts, h, reach, p, steps } asks for one share of them. Every piece is sent as
// { job, first, kinds, periods }.

export const kindNames = ["bounded", "converged", "diverged", "periodic"];

export const COUNT = starts.length / 2;

// What becomes of the starts from number `first` on.
export function outcomes({ h, reach, p, steps }, first, number) {
  const piece = { kinds: new Uint8Array(number), periods: new Uint8Array(number) };
  for (let j = 0; j < number; j++) {
    const start = [reach * starts[2 * (first + j)], reach * starts[2 * (first + j) + 1]];
    const { label, period } = outcomeOf(step, start, h, p, steps);
    piece.kinds[j] = kindNames.indexOf(label);
    piece.periods[j] = period;
  }
  return piece;
}

const PIECE = 40; // starts: a few milliseconds, so that a newer message is heard soon

function* pieces(request) {
  const { part, parts } = request;
  for (let first = part * PIECE; first < COUNT; first += parts * PIECE) {
    const piece = outcomes(request, first, Math.min(PIECE, COUNT - first));
    yield [{ first, ...piece }, [piece.kinds.buffer, piece.periods.buffer]];
  }
}
