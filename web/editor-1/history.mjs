// @ts-check
/** Undo and redo: states are never changed in place, so a step is a reference. */

const LIMIT = 200;

export class History {
  /** @param {any} state */
  constructor(state) {
    this.states = [state];
    this.at = 0;
  }

  get state() {
    return this.states[this.at];
  }

  get canUndo() {
    return this.at > 0;
  }

  get canRedo() {
    return this.at < this.states.length - 1;
  }

  push(state) {
    this.states.length = this.at + 1;
    this.states.push(state);
    if (this.states.length > LIMIT) this.states.shift();
    this.at = this.states.length - 1;
  }

  undo() {
    if (this.canUndo) this.at -= 1;
    return this.state;
  }

  redo() {
    if (this.canRedo) this.at += 1;
    return this.state;
  }
}
