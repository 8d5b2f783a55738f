// A view of a plane: the trait `limits`, [x0, x1, y0, y1], moved by pointer, touch, wheel, keys and buttons.

export const FARTHEST = 1e4; // no start and no view lies farther out
const FINEST = 1e-9; // no view is narrower, compared with its distance from the origin
const CLOSER = 0.7; // one press of a button or a key
const ASIDE = 0.1;

// Whether [x0, x1, y0, y1] is a rectangle in which pixels have different coordinates.
export function isView([x0, x1, y0, y1]) {
  const sound = (low, high) => {
    const reach = Math.max(Math.abs(low), Math.abs(high));
    return reach <= FARTHEST && high - low > FINEST * (1 + reach);
  };
  return sound(x0, x1) && sound(y0, y1);
}

// The view that `plot` shows. `allowed(limits)` gives the limits that are taken for those that are wished, or nothing;
// `centre(limits)` is the point that stays in place when keys and buttons zoom.
export class View {
  constructor(frame, plot, { allowed = (limits) => limits, centre = middle } = {}) {
    Object.assign(this, { frame, plot, allowed, centre });
  }

  get limits() {
    return this.frame.get("limits");
  }

  get width() {
    return this.limits[1] - this.limits[0];
  }

  get height() {
    return this.limits[3] - this.limits[2];
  }

  look(wished) {
    const limits = this.allowed(wished);
    if (limits && isView(limits)) this.frame.set({ limits });
  }

  // x and y zoom alike about a point of the plane
  zoom(factor, [x, y] = this.centre(this.limits)) {
    const [x0, x1, y0, y1] = this.limits;
    this.look([x + (x0 - x) * factor, x + (x1 - x) * factor, y + (y0 - y) * factor, y + (y1 - y) * factor]);
  }

  pan(dx, dy) {
    const [x0, x1, y0, y1] = this.limits;
    this.look([x0 + dx, x1 + dx, y0 + dy, y1 + dy]);
  }

  buttons() {
    this.frame.button("+", () => this.zoom(CLOSER)).setAttribute("aria-label", "Zoom in");
    this.frame.button("−", () => this.zoom(1 / CLOSER)).setAttribute("aria-label", "Zoom out");
  }

  // What single keys do, for the last argument of `frame.keys`.
  keys() {
    return {
      "+": () => this.zoom(CLOSER),
      "=": () => this.zoom(CLOSER),
      "-": () => this.zoom(1 / CLOSER),
      a: () => this.pan(-ASIDE * this.width, 0),
      d: () => this.pan(ASIDE * this.width, 0),
      w: () => this.pan(0, ASIDE * this.height),
      s: () => this.pan(0, -ASIDE * this.height),
    };
  }

  // What is `near(px, py, touch)` a pixel can be dragged: `drag(x, y)` is called with coordinates. A click or tap
  // elsewhere calls `tap(x, y)`. The mouse elsewhere and two fingers move the view, with Shift the mouse draws the
  // rectangle that is to be seen; two fingers zoom, and so does the wheel with Ctrl (which is what two fingers on a
  // touchpad send). A wheel alone, or one finger beside the handle, belongs to the page.
  pointer({ near, drag, tap }) {
    const { plot } = this;
    const { canvas } = plot;
    const within = (px, py) => px > plot.left && px < plot.right && py > plot.top && py < plot.bottom;
    const at = (event) => {
      const box = canvas.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    const coordinates = (px, py) => [plot.fromX(px), plot.fromY(py)];
    const fingers = new Map();
    let what;
    let last;
    let travelled = 0;
    canvas.addEventListener(
      "touchstart",
      (event) => {
        const ours = event.touches.length > 1 || near(...at(event.touches[0]), true);
        if (ours && event.cancelable) event.preventDefault(); // a page that is scrolling goes on
      },
      { passive: false },
    );
    canvas.addEventListener("pointerdown", (event) => {
      const place = at(event);
      const taken = near(...place, event.pointerType === "touch");
      if (event.button !== 0 || !(taken || within(...place))) return;
      fingers.set(event.pointerId, place);
      canvas.setPointerCapture(event.pointerId);
      canvas.focus({ preventScroll: true });
      what = event.shiftKey ? "selection" : taken ? "handle" : "view";
      [last, travelled] = [place, fingers.size > 1 ? Infinity : 0];
      this.corner = coordinates(...place);
    });
    canvas.addEventListener("pointermove", (event) => {
      const place = at(event);
      if (!fingers.has(event.pointerId)) {
        const taken = near(...place, event.pointerType === "touch");
        canvas.style.cursor = taken ? "grab" : within(...place) ? "crosshair" : "";
        return;
      }
      const before = span(fingers);
      fingers.set(event.pointerId, place);
      if (fingers.size > 1) {
        const { x, y, distance } = span(fingers);
        const centre = coordinates(before.x, before.y);
        this.zoom(before.distance / distance, centre);
        this.pan(centre[0] - plot.fromX(x), centre[1] - plot.fromY(y));
        return;
      }
      travelled += Math.hypot(place[0] - last[0], place[1] - last[1]);
      const moves = what === "handle" || (travelled > 4 && event.pointerType !== "touch");
      if (!moves) return;
      if (what === "handle") drag(...coordinates(...place));
      else if (what === "selection") this.select(coordinates(...place));
      else this.pan(plot.fromX(last[0]) - plot.fromX(place[0]), plot.fromY(last[1]) - plot.fromY(place[1]));
      last = place;
    });
    const lift = (event) => {
      fingers.delete(event.pointerId);
      [last] = fingers.values(); // a finger that stays goes on from where it is
      this.select();
    };
    canvas.addEventListener("pointerup", (event) => {
      const { selection } = this;
      if (fingers.has(event.pointerId) && what === "view" && travelled <= 4) tap(...coordinates(...at(event)));
      lift(event);
      if (selection) this.look(selection);
    });
    canvas.addEventListener("pointercancel", lift);
    canvas.addEventListener(
      "wheel",
      (event) => {
        if (!event.ctrlKey || !within(...at(event))) return;
        event.preventDefault();
        this.zoom(Math.exp(0.0015 * event.deltaY), coordinates(...at(event)));
      },
      { passive: false },
    );
  }

  // The rectangle between the corner where the pointer went down and an opposite one; nothing without one.
  select(opposite) {
    if (!opposite && !this.selection) return;
    this.selection = opposite && [0, 1].flatMap((i) => [this.corner[i], opposite[i]].sort((a, b) => a - b));
    this.frame.request();
  }

  drawSelection(theme) {
    if (!this.selection) return;
    const [x0, x1, y0, y1] = this.selection;
    this.plot.line([x0, x1, x1, x0, x0], [y0, y0, y1, y1, y0], { colour: theme.foreground, width: 1.5, dash: [5, 4] });
  }
}

function middle([x0, x1, y0, y1]) {
  return [(x0 + x1) / 2, (y0 + y1) / 2];
}

// Middle and distance of the first two fingers, or of one with itself.
function span(fingers) {
  const [a, b = a] = fingers.values();
  return { x: (a[0] + b[0]) / 2, y: (a[1] + b[1]) / 2, distance: Math.hypot(a[0] - b[0], a[1] - b[1]) };
}
