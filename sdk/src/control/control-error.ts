import { CanfleetError } from "../errors.ts";
import type { ControlCode } from "./control-request.ts";

/** An edge's refusal of a control request: `code` is `CONTROL_REFUSED`, the edge's own code is in `controlCode`. */
export class ControlError extends CanfleetError {
  readonly controlCode: ControlCode;

  constructor(controlCode: ControlCode, message: string) {
    super("CONTROL_REFUSED", message);
    this.controlCode = controlCode;
  }
}
