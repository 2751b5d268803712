// Starts the viewer whose script the page has loaded.
"use strict";

const place = document.getElementById("document");
const source = place.dataset.source;

if (window.SwaggerUIBundle) {
  window.SwaggerUIBundle({
    url: source,
    domNode: place,
    deepLinking: true,
    displayRequestDuration: true,
    docExpansion: "none",
    filter: true,
    showExtensions: true,
    // The default would send the document to a validator on the internet.
    validatorUrl: null,
  });
} else {
  window.Redoc.init(source, {}, place);
}
