/** Stands for a polyfill that fhirclient names and a current browser does not need. */
export default undefined;
