// Where a picture lies on the screen. Picture: [row, column], an edge between pixels is a whole number. Screen: [x, y] in CSS pixels of the
// stage. A pixel is drawn as wide and high as it is in the patient, so that a thick slice is not flat. Plain values; nothing is drawn here.

const LARGEST_PIXEL = 64; // CSS pixels

export class View {
  /**
   * @param shape_rc rows and columns of the picture
   * @param spacing_rc_mm height and width of one of its pixels
   * @param size [width, height] of the stage
   */
  constructor(shape_rc, spacing_rc_mm, size, scale = null, origin = null) {
    this.shape = shape_rc;
    this.spacing = spacing_rc_mm;
    const finest = Math.min(...spacing_rc_mm);
    this.tall = spacing_rc_mm[0] / finest;
    this.wide = spacing_rc_mm[1] / finest;
    this.size = size;
    this.fit = Math.min(size[0] / (shape_rc[1] * this.wide), size[1] / (shape_rc[0] * this.tall));
    this.scale = scale ?? this.fit;
    this.origin = origin ?? [(size[0] - this.width) / 2, (size[1] - this.height) / 2];
  }

  get width() {
    return this.shape[1] * this.wide * this.scale;
  }

  get height() {
    return this.shape[0] * this.tall * this.scale;
  }

  get isFitted() {
    return Math.abs(this.scale - this.fit) < 1e-9;
  }

  toScreen([row, column]) {
    return [this.origin[0] + column * this.wide * this.scale, this.origin[1] + row * this.tall * this.scale];
  }

  toPicture([x, y]) {
    return [(y - this.origin[1]) / (this.tall * this.scale), (x - this.origin[0]) / (this.wide * this.scale)];
  }

  /** The part of the picture that is seen, [r0, r1, c0, c1], not whole. */
  get seen() {
    const [top, left] = this.toPicture([0, 0]);
    const [bottom, right] = this.toPicture(this.size);
    return [Math.max(top, 0), Math.min(bottom, this.shape[0]), Math.max(left, 0), Math.min(right, this.shape[1])];
  }

  /** Larger by a factor, with the place under [x, y] kept where it is. */
  zoomed(factor, [x, y]) {
    const largest = Math.max(this.fit * 4, LARGEST_PIXEL / Math.min(this.tall, this.wide));
    const scale = Math.min(Math.max(this.scale * factor, this.fit), largest);
    const ratio = scale / this.scale;
    return this._with(scale, [x - (x - this.origin[0]) * ratio, y - (y - this.origin[1]) * ratio]);
  }

  panned(right, down) {
    return this._with(this.scale, [this.origin[0] + right, this.origin[1] + down]);
  }

  /** The same part of the picture on a stage of another size. */
  resized(size) {
    if (this.isFitted) return new View(this.shape, this.spacing, size);
    const middle = this.toPicture([this.size[0] / 2, this.size[1] / 2]);
    const next = new View(this.shape, this.spacing, size, this.scale);
    const at = next.toScreen(middle);
    return next.zoomed(1, [0, 0]).panned(size[0] / 2 - at[0], size[1] / 2 - at[1]);
  }

  fitted() {
    return new View(this.shape, this.spacing, this.size);
  }

  /** The picture never leaves the stage: where it is smaller it is in the middle, where larger it fills it. */
  _with(scale, origin) {
    const next = new View(this.shape, this.spacing, this.size, scale, origin);
    const kept = (start, length, stage) => (length <= stage ? (stage - length) / 2 : Math.min(Math.max(start, stage - length), 0));
    next.origin = [kept(origin[0], next.width, this.size[0]), kept(origin[1], next.height, this.size[1])];
    return next;
  }
}
