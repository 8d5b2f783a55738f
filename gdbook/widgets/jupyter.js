// In Jupyter there is no folder to import from: the figure arrives as text, and so does everything it asks for by name.

import figure from "./figure.js";

export default {
  async render({ model, el }) {
    const texts = model.get("_texts");
    const addresses = {};
    const url = (name) =>
      (addresses[name] ??= URL.createObjectURL(new Blob([texts[name]], { type: "text/javascript" })));
    const remove = await figure.render({ model, el, url });
    return () => {
      remove();
      Object.values(addresses).forEach((address) => URL.revokeObjectURL(address));
    };
  },
};
