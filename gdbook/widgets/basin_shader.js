// The basin picture on a graphics processor: every pixel iterates its own start, in single precision.

const VERTICES = `#version 300 es
void main() {
  gl_Position = vec4(vec2(gl_VertexID & 1, gl_VertexID >> 1) * 4.0 - 1.0, 0.0, 1.0);
}`;

// The definition of outcome.js, with allowance for rounding: single precision never sees a move of 1e-10 or a return
// to 1e-9, so where moves shrink the step is foretold from how fast they shrink, and an orbit is
// periodic that returns as closely as numbers allow, and closely beside its move, when five eighths of the steps are done.
const pixels = (parameters, gradient, target, rules) => `#version 300 es
precision highp float;
precision highp int;
uniform vec4 view;
uniform float size;
uniform float rate;
uniform float p[${parameters}];
uniform int steps;
uniform vec3 background;
uniform vec2 strengths;
uniform vec3 colours[8]; // as many as four targets need
out vec4 pixel;

${gradient}
${target}
const float SMALL = 1e-3;
const float SMALLEST = 3e-6;
const float TOLERANCE = ${rules.convergenceTolerance.toExponential()};
const int INTERVAL = ${rules.checkInterval};
const float CLOSE = 2e-6;
const float RATIO = ${rules.returnRatio.toExponential()};

bool escaped(float x[2]) {
  return isnan(x[0]) || isnan(x[1]) || !(max(abs(x[0]), abs(x[1])) <= ${rules.escapeRadius.toExponential()});
}

// The first step at which convergence is tested, from k on, or a later one than the last.
int tested(float k) {
  int next = INTERVAL * int(ceil(min(k, 1e6) / float(INTERVAL)));
  return k <= float(steps) ? min(next, steps) : steps + 1;
}

void main() {
  vec2 share = gl_FragCoord.xy / size;
  float x[2], slope[2], before[2];
  x[0] = view.x + (view.y - view.x) * share.x;
  x[1] = view.z + (view.w - view.z) * share.y;
  int label = 3, reached = steps, period = 0, since = 0;
  float sizeSince = 0.0;
  if (escaped(x)) {
    label = 1;
    reached = 0;
  } else {
    int mark = max(5 * steps / 8, steps - ${rules.longestPeriod} - steps / 8);
    for (int k = 1; k <= steps; k++) {
      gradient(x, p, slope);
      x[0] -= rate * slope[0];
      x[1] -= rate * slope[1];
      if (escaped(x)) {
        label = 1;
        reached = k;
        break;
      }
      float reach = 1.0 + max(abs(x[0]), abs(x[1]));
      float move = rate * max(abs(slope[0]), abs(slope[1])) / reach;
      if (move <= TOLERANCE) {
        int at = tested(float(k));
        label = 0;
        reached = at;
        break;
      }
      if (move > SMALL) since = 0;
      else if (since == 0) {
        since = k;
        sizeSince = move;
      } else if (move < SMALLEST && (k - since >= 8 || move < sizeSince / 16.0)) {
        float fall = log(sizeSince / move) / float(k - since);
        int at = fall > 0.0 ? tested(float(k) + log(move / TOLERANCE) / fall) : steps + 1;
        if (at <= steps) {
          label = 0;
          reached = at;
        }
        break;
      }
      if (k == mark) before = x;
      else if (k > mark && period == 0) {
        float apart = max(abs(x[0] - before[0]), abs(x[1] - before[1])) / reach;
        if (apart <= min(CLOSE, RATIO * move)) period = k - mark;
      }
    }
    if (label == 0) {
      float number[1];
      target(x, p, number);
      if (number[0] >= 0.0) label = 4 + int(number[0] + 0.5);
    }
    if (label == 3 && period >= 2 && period <= ${rules.longestPeriod}) label = 2;
  }
  float strength = strengths.x + strengths.y * exp(-float(reached) / (float(steps) / 5.0));
  pixel = vec4(mix(background, colours[label], strength), 1.0);
}`;

const SOFTWARE = /swiftshader|llvmpipe|softpipe|software|basic render/i;

// Some browsers give the name only to those who ask twice.
function rendererOf(gl) {
  const name = gl.getParameter(gl.RENDERER);
  const more = name === "WebKit WebGL" && gl.getExtension("WEBGL_debug_renderer_info");
  return more ? gl.getParameter(more.UNMASKED_RENDERER_WEBGL) : name;
}

const EXACT = 2 ** -20; // of the coordinates: a pixel that is narrower is not resolved

export class BasinShader {
  // `changed` is called when the context is lost and something else has to draw.
  constructor({ gradient, target, parameters }, rules, size, changed) {
    Object.assign(this, { size, parameters, lost: true });
    this.canvas = document.createElement("canvas");
    this.canvas.width = this.canvas.height = size;
    const gl = this.canvas.getContext("webgl2", {
      failIfMajorPerformanceCaveat: true, preserveDrawingBuffer: true, alpha: false, antialias: false, depth: false,
    });
    // A software renderer would take the processors from the workers, which are better at it.
    if (!gl || SOFTWARE.test(rendererOf(gl))) return;
    this.gl = gl;
    this.lost = false;
    this.canvas.addEventListener("webglcontextlost", () => {
      this.lost = true;
      changed();
    });
    this.ready = gl.getExtension("KHR_parallel_shader_compile")?.COMPLETION_STATUS_KHR;
    this.program = gl.createProgram();
    const texts = [
      [gl.VERTEX_SHADER, VERTICES],
      [gl.FRAGMENT_SHADER, pixels(Math.max(1, parameters.length), gradient, target, rules)],
    ];
    for (const [kind, text] of texts) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      gl.attachShader(this.program, shader);
    }
    gl.linkProgram(this.program);
  }

  // Whether it can draw this rectangle now. While the program is being compiled the answer is no.
  canDraw([x0, x1, y0, y1]) {
    if (this.lost) return false;
    const finest = Math.min(x1 - x0, y1 - y0) / this.size;
    if (finest < EXACT * Math.max(...[x0, x1, y0, y1].map(Math.abs))) return false;
    const { gl, program } = this;
    if (!this.places) {
      if (this.ready && !gl.getProgramParameter(program, this.ready)) return false;
      if (!gl.getProgramParameter(program, gl.LINK_STATUS)) {
        this.remove();
        return false;
      }
      gl.useProgram(program);
      this.places = (name) => gl.getUniformLocation(program, name);
    }
    return true;
  }

  draw({ limits, learningRate, p, steps }, colours, background, strengths) {
    const { gl, places } = this;
    gl.uniform4fv(places("view"), limits);
    gl.uniform1f(places("size"), this.size);
    gl.uniform1f(places("rate"), learningRate);
    if (this.parameters.length) gl.uniform1fv(places("p"), this.parameters.map((name) => p[name]));
    gl.uniform1i(places("steps"), steps);
    gl.uniform2fv(places("strengths"), strengths);
    gl.uniform3fv(places("background"), background.map((c) => c / 255));
    gl.uniform3fv(places("colours"), colours.flat().map((c) => c / 255));
    gl.viewport(0, 0, this.size, this.size);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  remove() {
    this.lost = true;
    this.gl?.getExtension("WEBGL_lose_context")?.loseContext();
  }
}
